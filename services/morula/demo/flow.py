"""From a slide with truth to a summary with figures, all through the gateway's REST API."""

from __future__ import annotations

import io
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from morula.common.formats import NOISE_LEAF
from morula.common.scores import constant, macro_f1
from morula.demo.annotator import Annotator
from morula.demo.truth import NOBODY, Match, Points, Truth, match
from morula.onebox.client import Client, Json, problem_error
from morula.onebox.failures import Failure

PAGE_COUNT = 10
Names = NDArray[np.str_]
Follow = Callable[[Iterable[Json]], Json]


def last_state(states: Iterable[Json]) -> Json:
    """Follows a job without showing anything."""
    return deque(states, maxlen=1).pop()


def run_slide(client: Client, slide: Path, follow: Follow = last_state, **choices: object) -> Json:
    """Uploads a slide and runs it, by the default where nothing is chosen; the job as it ended."""
    stored = client.upload({slide.name: slide})
    job = follow(client.watch(client.post("/v1/jobs", {"slide_id": stored["id"], **choices})["id"]))
    if job["state"] != "succeeded":
        raise problem_error(job["error"] or {"detail": f"the job ended {job['state']}"})
    return job


@dataclass(frozen=True)
class Demonstration:
    """What was done and how good it is."""

    job: Json
    labelling: Json
    page_count: int
    mark_count: int
    labelling_s: float
    match: Match
    macro_f1: float
    macro_f1_clusters: float
    macro_f1_constant: float
    accuracy: float
    """Share of right labels among the cells that were not shown and got one; what is no cell is to be called so."""
    coverage: float
    """Share of the cells that were not shown that got a label."""

    @property
    def claim(self) -> Json | None:
        """What the labelling says of its own accuracy, from pages held out."""
        held_out: Json | None = self.labelling["held_out"]
        return held_out

    def summary(self) -> dict[str, Any]:
        """What is written to summary.json, apart from what only the caller knows."""
        stages = {stage["stage"]: round(stage["seconds"], 2) for stage in self.job["stages"]}
        return {
            "cells": self.job["cell_count"],
            "clusters": self.labelling["cluster_count"],
            "pages": self.page_count,
            "marks": self.mark_count,
            "macro_f1": round(self.macro_f1, 4),
            "macro_f1_clusters": round(self.macro_f1_clusters, 4),
            "macro_f1_constant": round(self.macro_f1_constant, 4),
            "accuracy": round(self.accuracy, 4),
            "coverage": round(self.coverage, 4),
            "claimed": self.claim
            and {name: round(self.claim[name], 4) for name in ("accuracy", "low", "high", "cell_count", "page_count")},
            "match_rate": round(self.match.match_rate, 4),
            "detection_f1": round(self.match.detection_f1, 4),
            "seconds": {**stages, "label": round(self.labelling_s, 2)},
            "keys": {
                "slide": self.job["slide_id"],
                "job": self.job["id"],
                "clustering": self.job["clustering_id"],
                "labelling": self.job["labelling_id"],
                "result_digest": self.job["result_digest"],
            },
        }


def demonstrate(client: Client, job: Json, truth_path: Path, page_count: int = PAGE_COUNT) -> Demonstration:
    """Labels pages of a finished job as an annotator would, and measures the cells that were not shown."""
    matched = match(_centroids(client, job), Truth.read(truth_path))
    began = time.monotonic()
    annotator = Annotator(client, client.get(f"/v1/labellings/{job['labelling_id']}"), matched)
    labelling = annotator.label_pages(page_count)
    labelling_s = time.monotonic() - began
    unseen = np.setdiff1d(np.arange(len(matched.truth_of_cell)), list(annotator.shown_rows))
    rows = unseen[matched.truth_of_cell[unseen] != NOBODY]
    truth = matched.truth.names[matched.truth_of_cell[rows]]
    predicted = _effective_names(client, labelling)
    labelled = unseen[predicted[unseen] != ""]
    right = predicted[labelled] == np.array([matched.name(row) or annotator.not_a_cell for row in labelled.tolist()])
    return Demonstration(
        job=job,
        labelling=labelling,
        page_count=annotator.page_count,
        mark_count=annotator.mark_count,
        labelling_s=labelling_s,
        match=matched,
        macro_f1=macro_f1(truth, predicted[rows]),
        macro_f1_clusters=macro_f1(truth, _cluster_names(client, labelling)[rows]),
        macro_f1_constant=macro_f1(truth, constant(truth)),
        accuracy=float(right.mean()) if len(right) else 0.0,
        coverage=len(labelled) / max(len(unseen), 1),
    )


def _centroids(client: Client, job: Json) -> Points:
    cells = _table(client, f"/v1/jobs/{job['id']}/files/cells.parquet", ["x_px", "y_px"])
    if cells.num_rows != job["cell_count"]:
        raise Failure(f"cells.parquet has {cells.num_rows} rows, the job says {job['cell_count']}")
    return np.column_stack([cells["x_px"].to_numpy(), cells["y_px"].to_numpy()])


def _effective_names(client: Client, labelling: Json) -> Names:
    labels = _table(client, f"/v1/labellings/{labelling['id']}/labels.parquet", ["class_name"])
    return np.array([name or "" for name in labels["class_name"].to_pylist()])


def _cluster_names(client: Client, labelling: Json) -> Names:
    """What each cell would be called if the name of its cluster were all there is."""
    leaf = _layer(client, labelling["clustering_id"])
    node_of_leaf = client.get(f"/v1/labellings/{labelling['id']}/cut")["node_of_leaf"]
    class_names = {entry["number"]: entry["name"] for entry in labelling["label_set"]["classes"]}
    name_of_node = {entry["node_id"]: class_names[entry["class_number"]] for entry in labelling["cluster_names"]}
    name_of_leaf = np.array([*(name_of_node.get(node, "") for node in node_of_leaf), ""])
    return name_of_leaf[np.where(leaf == NOISE_LEAF, len(node_of_leaf), leaf)]


def _layer(client: Client, clustering_id: str) -> NDArray[np.uint16]:
    return np.frombuffer(client.bytes(f"/v1/clusterings/{clustering_id}/layers/leaf"), dtype="<u2")


def _table(client: Client, path: str, columns: list[str]) -> pa.Table:
    return pq.read_table(io.BytesIO(client.bytes(path)), columns=columns)
