"""From a key to a model and the next page: what a person waits for, the gateway left out."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from morula.bench.report import Case
from morula.bench.worker import running
from morula.clusterer import core, tree
from morula.clusterer.features import Features
from morula.clusterer.leaves import assign
from morula.common.folder import FolderStore
from morula.common.formats import write_array
from morula.common.refs import ref_of
from morula.v1.clusterer_pb2 import Clustering
from morula.v1.labeller_pb2 import (
    CutTreeRequest,
    LearnLabelsRequest,
    LearnLabelsResponse,
    NextPageRequest,
    NextPageResponse,
    PagePlace,
    SeenCell,
)
from morula.v1.labeller_pb2_grpc import LabellerServiceStub

CELLS = {10_000: "<=60", 1_000_000: "<=300"}
COLUMNS = 128
"""As many as features may have."""
KINDS = 8
APART = 2.5
"""So near that a third of the pre-labels are wrong: a page that stands as it was labelled teaches judges nothing."""
TILES = 64
CLUSTERED = 2_000
"""Cells that leaves are made of; the others go to the nearest."""
PAGES = 20
TIMED_FROM = 10
"""The first page whose time counts: by then there is a model, and something to hold out."""


@dataclass(frozen=True)
class Slide:
    """Features and true classes of cells, and their clustering in a store."""

    matrix: NDArray[np.float16]
    truth: NDArray[np.int64]
    clustering: Clustering


def cases() -> list[Case]:
    """Median waits at both sizes."""
    return [_at(cell_count, bound) for cell_count, bound in CELLS.items()]


def _at(cell_count: int, bound: str) -> Case:
    with tempfile.TemporaryDirectory(prefix="mo-", dir="/tmp") as folder:
        store = FolderStore(Path(folder) / "store")
        slide = _drawn(store, cell_count)
        with running("morula.clusterer.labeller", Path(folder) / "s", Path(folder) / "store") as (channel, _):
            waits_s = _sit(LabellerServiceStub(channel), slide)
    waited_ms = 1e3 * float(np.median(waits_s[TIMED_FROM:]))
    name = f"key to model and next page, {cell_count} cells of {COLUMNS} columns, pages {TIMED_FROM + 1} to {PAGES}"
    return Case(name, round(waited_ms, 1), "ms", bound)


def _drawn(store: FolderStore, cell_count: int) -> Slide:
    rng = np.random.default_rng(cell_count)
    truth = rng.integers(1, KINDS + 1, cell_count)
    centres = rng.normal(0, APART / np.sqrt(COLUMNS), (KINDS + 1, COLUMNS)).astype(np.float32)
    matrix = (rng.standard_normal((cell_count, COLUMNS), np.float32) + centres[truth]).astype(np.float16)
    names = tuple(f"column_{number}" for number in range(COLUMNS))
    made = core.cluster(Features(matrix[:CLUSTERED], names, COLUMNS, None), core.Params())
    leaf = assign(matrix, core.leaf_model(matrix[:CLUSTERED], made.leaf, made.tree)).leaf
    clustering = Clustering(
        leaf=ref_of(store.put("p/c/leaf/a.npy", write_array(leaf))),
        tree=ref_of(store.put("p/c/tree/a.json", tree.to_json(made.tree))),
        features=ref_of(store.put("p/c/features/a.npy", write_array(matrix))),
    )
    return Slide(matrix, truth, clustering)


def _sit(stub: LabellerServiceStub, slide: Slide) -> list[float]:
    cut = stub.CutTree(CutTreeRequest(clustering=slide.clustering)).node_of_leaf
    learnt, seen, past, waits_s = LearnLabelsResponse(), list[SeenCell](), list[PagePlace](), list[float]()
    page: NextPageResponse = stub.NextPage(NextPageRequest(clustering=slide.clustering, node_of_leaf=cut))
    for number in range(1, PAGES + 1):
        past.append(page.place)
        seen += [
            SeenCell(
                row=cell.row,
                class_number=int(slide.truth[cell.row]),
                group=cell.row % TILES,
                page=number,
                shown_class_number=cell.class_number,
            )
            for cell in page.cells
        ]
        started = time.perf_counter()
        learnt = stub.LearnLabels(
            LearnLabelsRequest(
                clustering=slide.clustering,
                node_of_leaf=cut,
                seen=seen,
                class_key=f"p/c/class/{number}.bin",
                confidence_key=f"p/c/label_confidence/{number}.bin",
                model_key=f"p/c/model/{number}.json",
            )
        )
        wish = NextPageRequest(clustering=slide.clustering, node_of_leaf=cut, past=past)
        wish.seen_rows.extend(cell.row for cell in seen)
        if learnt.class_layer.key:
            wish.class_layer.CopyFrom(learnt.class_layer)
            wish.confidence_layer.CopyFrom(learnt.confidence_layer)
        page = stub.NextPage(wish)
        waits_s.append(time.perf_counter() - started)
    return waits_s
