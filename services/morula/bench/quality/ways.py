"""The rows of the table: each a kind of vectors with its clusters, and a way in which a person's word spreads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from morula.bench import annotator, paired
from morula.bench.annotator import Moment, Task, Way
from morula.bench.paired import Counts
from morula.bench.quality.described import Known
from morula.clusterer import core
from morula.clusterer.core import Clustered
from morula.clusterer.features import Features
from morula.common.clustering import UMAP_DBSCAN

SPLITS = 5
MOMENTS: tuple[Moment, ...] = (
    *((count, "clicks") for count in (5, 10, 20, 40)),
    *((seconds, "s") for seconds in (60, 120)),
)
OURS, CEILING, CONSTANT = "morula", "all labels", "constant"
PUBLISHED = "paper"

Rows = NDArray[np.int64]
Tables = dict[Moment, list[Counts]]
"""By moment, a table by group of each split."""


@dataclass(frozen=True)
class Row:
    """Vectors of this kind, and how a person works with them."""

    vectors: str
    way: Way


def by_nothing(task: Task, moments: tuple[Moment, ...]) -> dict[Moment, Rows]:
    """All are called what most of the labelled half are."""
    given = np.full(len(task.other_truth), np.bincount(task.truth).argmax())
    return dict.fromkeys(moments, given)


def by_all_labels(task: Task, moments: tuple[Moment, ...]) -> dict[Moment, Rows]:
    """The model of every cell of the labelled half."""
    return dict.fromkeys(moments, task.given_by_model(np.arange(len(task.truth))))


ROWS: Mapping[str, Row] = {
    CONSTANT: Row(OURS, by_nothing),
    "random cells": Row(OURS, annotator.by_random_singles),
    "typical cells": Row(OURS, annotator.by_typical_singles),
    "untrained network": Row("untrained", annotator.by_pages),
    "colour only": Row("colour", annotator.by_pages),
    "morphology only": Row("morphology", annotator.by_pages),
    "network only": Row("network", annotator.by_pages),
    "segmenter's features": Row("features", annotator.by_pages),
    "morphology and features": Row("blocks", annotator.by_pages),
    PUBLISHED: Row("boxes", annotator.by_clusters),
    OURS: Row(OURS, annotator.by_pages),
    CEILING: Row(OURS, by_all_labels),
}


def clustered(known: Known, name: str) -> Clustered:
    """All cells of the set in clusters: those of the published way for its row, else ours."""
    built = known.features[ROWS[name].vectors]
    if name != PUBLISHED:
        return core.cluster(built, core.Params())
    if known.boxed is None:
        raise ValueError("nothing was said of boxes")
    return core.cluster_as_published(built, known.boxed.astype(np.float16), core.Params(algorithm=UMAP_DBSCAN))


def tables(known: Known, row: Row, made: Clustered) -> Tables:
    """Of each split, true and given classes of the groups that nobody labelled."""
    found: Tables = {moment: [] for moment in MOMENTS}
    for seed in range(SPLITS):
        task = _task(known, known.features[row.vectors], made, seed)
        for moment, given in row.way(task, MOMENTS).items():
            counted = paired.counted(task.other_truth, given, task.other_groups, known.class_count, known.group_count)
            found[moment].append(counted)
    return found


def _task(known: Known, built: Features, made: Clustered, seed: int) -> Task:
    """Cells of half of the groups to label. Clusters are of all cells: they need no labels."""
    groups = np.random.default_rng(seed).permutation(known.group_count)
    mine = np.isin(known.groups, groups[: len(groups) // 2])
    return Task(
        clustered=replace(made, leaf=made.leaf[mine]),
        matrix=built.matrix[mine],
        truth=known.classes[mine],
        groups=known.groups[mine],
        other_matrix=built.matrix[~mine],
        other_leaf=made.leaf[~mine],
        other_truth=known.classes[~mine],
        other_groups=known.groups[~mine],
        seed=seed,
    )
