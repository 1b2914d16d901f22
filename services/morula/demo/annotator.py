"""An annotator at the board: sees a page of cells, names it, and marks the odd ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from morula.demo.truth import Match
from morula.onebox.client import Client, Json

NOT_A_CELL_KEY = "X"


@dataclass
class Annotator:
    """Knows the true class of a cell that is shown, and of no other."""

    client: Client
    labelling: Json
    match: Match
    page_count: int = 0
    mark_count: int = 0
    shown_rows: set[int] = field(default_factory=set)

    @property
    def not_a_cell(self) -> str:
        """The name of what is found and is no cell."""
        classes = self.labelling["label_set"]["classes"]
        return next(str(entry["name"]) for entry in classes if entry["key"] == NOT_A_CELL_KEY)

    def label_pages(self, count: int) -> Json:
        """Names so many pages, or all there are, and returns the labelling as it then is."""
        for _ in range(count):
            page = self.client.page(self.labelling["id"])
            if page is None:
                break
            self._name(page)
        return self.labelling

    def _name(self, page: Json) -> None:
        classes = {cell["row"]: self._class_number(cell["row"]) for cell in page["cells"]}
        majority, majority_count = Counter(classes.values()).most_common(1)[0]
        cells = [
            {"row": cell["row"], "class_number": classes[cell["row"]], "shown_class_number": cell["class_number"]}
            for cell in page["cells"]
        ]
        body = {
            "place": page["place"],
            "cells": cells,
            "class_number": majority,
            "version": self.labelling["version"],
            "page_seq": page["seq"],
        }
        event = {"kind": "page_named", "body": body}
        self.labelling = self.client.post(f"/v1/labellings/{self.labelling['id']}/events", event)
        self.page_count += 1
        self.mark_count += len(classes) - majority_count
        self.shown_rows.update(classes)

    def _class_number(self, row: int) -> int:
        name = self.match.name(row)
        known = self.labelling["label_set"]["classes"]
        for entry in known:
            if entry["name"] == name or (name is None and entry["key"] == NOT_A_CELL_KEY):
                return int(entry["number"])
        label_set_id = self.labelling["label_set"]["id"]
        self.client.post(f"/v1/label-sets/{label_set_id}/classes", {"name": name})
        self.labelling["label_set"] = self.client.get(f"/v1/label-sets/{label_set_id}")
        return self._class_number(row)
