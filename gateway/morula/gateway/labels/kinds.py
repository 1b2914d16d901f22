"""The kinds of label events, one class each: the shape of its body, which cells it names, what it changes, and its
sentence for people.

A new kind is a class here and a name in `AnyKind`; the page has a row for it in `kinds.ts`. Bodies stay in the ledger
for good, so the rules read bodies of all earlier versions and must treat a new field as optional.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, RootModel, model_validator

from morula.common.formats import NOISE_LEAF
from morula.gateway.fields import CellCount, CellRow, ClassNumber, Name, NodeId, Number, Request
from morula.gateway.labels.state import Labels, SeenPage, Word

SeenClass = Annotated[int, Field(ge=0, le=255, strict=True)]
Body = Mapping[str, Any]
"""A body as it is stored."""


class Kind(Request):
    """An event as it comes in."""

    expected_seq: Number | None = None
    actor: Name = "local"


class Statement(Kind, ABC):
    """A kind that says something of cells or clusters."""

    @staticmethod
    @abstractmethod
    def apply(labels: Labels, body: Body) -> None:
        """Apply the event to the state; `body` is as it was stored."""

    @staticmethod
    def rows(_body: Body) -> list[int]:
        """Rows of the cells that the event names one by one."""
        return []

    @staticmethod
    @abstractmethod
    def moved(body: Body, to: "Elsewhere") -> dict[str, Any] | None:
        """The body for another clustering of the same cells; None if it means nothing there."""

    @staticmethod
    @abstractmethod
    def sentence(body: Body, names: Mapping[int | None, str]) -> str:
        """The event as a sentence; `names` are the names of classes."""


@dataclass(frozen=True)
class Elsewhere:
    """Another clustering of the same cells, as far as an event that moves to it has to know it."""

    row_after: Mapping[int, int]
    """The row there of each row here, where its cell is there."""
    kept_nodes: Set[int]
    """Nodes that hold the same cells there as here."""
    place_of: Callable[[Sequence[int]], dict[str, int]]
    """Where cells lie there, by their rows there."""


NO_CLUSTER = 0
"""Node of a page of cells that are in no cluster."""


class PlaceBody(Request):
    node_id: Annotated[int, Field(ge=0, lt=2**32, strict=True)]
    leaf: Annotated[int, Field(ge=0, le=NOISE_LEAF, strict=True)]
    cell_count: CellCount = 0


class SeenCellBody(Request):
    row: CellRow
    class_number: Annotated[int, Field(ge=0, le=250, strict=True)] | None
    """Its class's number, 0 where it is odd (seen, none of the page's), or null where the person is not sure."""
    shown_class_number: SeenClass | None = None


class PageBody(Request):
    place: PlaceBody
    cells: Annotated[list[SeenCellBody], Field(min_length=1, max_length=12)]
    class_number: ClassNumber | None
    """Null where the person put the page off."""
    version: Number = 0
    page_seq: Number
    """`seq` of the page that was on screen: it is refused as stale where its cells were named since then."""

    @model_validator(mode="after")
    def _each_cell_once(self) -> "PageBody":
        if len({cell.row for cell in self.cells}) != len(self.cells):
            raise ValueError("a cell is on the page twice")
        return self


class PageNamed(Statement):
    """A page of cells gets a name, its odd cells are marked."""

    kind: Literal["page_named"]
    body: PageBody

    @staticmethod
    def apply(labels: Labels, body: Body) -> None:
        place, first = body["place"], body["cells"][0]["row"]
        before = labels.pages.get(first)
        page_number = before.number if before else len(labels.pages) + 1
        labels.pages[first] = SeenPage(page_number, place["node_id"], place["leaf"])
        for cell in body["cells"]:
            labels.seen_rows.add(cell["row"])
            number, shown = cell["class_number"], cell["shown_class_number"]
            labels.words[cell["row"]] = Word(number, page_number, body["class_number"], shown)

    @staticmethod
    def rows(body: Body) -> list[int]:
        return [cell["row"] for cell in body["cells"]]

    @staticmethod
    def moved(body: Body, to: Elsewhere) -> dict[str, Any] | None:
        rows = to.row_after
        cells = [{**cell, "row": rows[cell["row"]]} for cell in body["cells"] if cell["row"] in rows]
        if not cells:
            return None
        node_id = body["place"]["node_id"]
        stays = body["place"]["leaf"] == NOISE_LEAF and (node_id == NO_CLUSTER or node_id in to.kept_nodes)
        return {
            **body,
            "place": body["place"] if stays else to.place_of([cell["row"] for cell in cells]),
            "cells": cells,
        }

    @staticmethod
    def sentence(body: Body, names: Mapping[int | None, str]) -> str:
        number, count = body["class_number"], len(body["cells"])
        if number is None:
            return f"Page put off: {count} cells"
        same = sum(1 for cell in body["cells"] if cell["class_number"] == number)
        return f"Page named {names[number]}: {same} of {count} cells"


class CellBody(Request):
    row: CellRow
    class_number: ClassNumber | None
    """Null takes back what was said about the cell."""


class CellSet(Statement):
    """One cell gets a class by itself, whatever else was said of it."""

    kind: Literal["cell_set"]
    body: CellBody

    @staticmethod
    def apply(labels: Labels, body: Body) -> None:
        if body["class_number"] is None:
            labels.words.pop(body["row"], None)
            return
        labels.seen_rows.add(body["row"])
        labels.words[body["row"]] = Word(body["class_number"], page=0)

    @staticmethod
    def rows(body: Body) -> list[int]:
        return [body["row"]]

    @staticmethod
    def moved(body: Body, to: Elsewhere) -> dict[str, Any] | None:
        return {**body, "row": to.row_after[body["row"]]} if body["row"] in to.row_after else None

    @staticmethod
    def sentence(body: Body, names: Mapping[int | None, str]) -> str:
        return f"Cell {body['row']}: {names.get(body['class_number'], 'taken back')}"


class ClusterBody(Request):
    node_id: NodeId
    class_number: ClassNumber | None
    """Null takes the name back."""


class ClusterNamed(Statement):
    """A whole cluster gets a name."""

    kind: Literal["cluster_named"]
    body: ClusterBody

    @staticmethod
    def apply(labels: Labels, body: Body) -> None:
        if body["class_number"] is None:
            labels.names.pop(body["node_id"], None)
        else:
            labels.names[body["node_id"]] = body["class_number"]

    @staticmethod
    def moved(body: Body, to: Elsewhere) -> dict[str, Any] | None:
        return dict(body) if body["node_id"] in to.kept_nodes else None

    @staticmethod
    def sentence(body: Body, names: Mapping[int | None, str]) -> str:
        return f"Cluster {body['node_id']}: {names.get(body['class_number'], 'name taken back')}"


class UndoneBody(Request):
    seq: Annotated[int, Field(ge=1, lt=2**31, strict=True)]


class Undone(Kind):
    """The event of this number counts no more."""

    kind: Literal["undone"]
    body: UndoneBody


AnyKind = PageNamed | CellSet | ClusterNamed | Undone
RULES: dict[str, type[Statement]] = {
    get_args(kind.model_fields["kind"].annotation)[0]: kind for kind in get_args(AnyKind) if issubclass(kind, Statement)
}


class NewEvent(RootModel[Annotated[AnyKind, Field(discriminator="kind")]]):
    """Something that a person says."""
