"""All numbers of one grouping of the cells, over all draws."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from morula.common.compute import Checkpoint
from morula.evaluator import clicks, naming, partition, singles
from morula.evaluator.cells import Cells, Flags, Ints
from morula.evaluator.clicks import Curve
from morula.evaluator.draws import Drawn, Groups, ratio

AREAS = {"area_accuracy": "accuracy", "area_macro_f1": "macro_f1"}


@dataclass(frozen=True)
class Setting:
    """What all groupings of the same cells are measured by."""

    groups: Groups
    class_count: int
    rare: Ints
    clicks: Ints
    seed: int
    checkpoint: Checkpoint

    def of(self, chosen: Flags | Ints) -> Setting:
        """The same for some of the cells: groups, folds and draws stay what they are."""
        return replace(self, groups=replace(self.groups, of_cell=self.groups.of_cell[chosen]))


@dataclass(frozen=True)
class Measured:
    """What was measured of a grouping, and the class that each cell got."""

    numbers: Drawn
    matrix: csr_array
    given: Ints
    curve: Curve
    cluster_count: int


def of_clusters(truth: Ints, clusters: Ints, is_none: Flags, setting: Setting) -> Measured:
    """Of clusters: named on one part and scored on the rest, named by slide, and how they agree with classes."""
    groups, checkpoint = setting.groups, setting.checkpoint
    table = partition.tabulate(clusters, is_none, truth, setting.class_count, groups)
    names = naming.name_clusters(table, groups)
    matrix = naming.confusion(table, groups, names.classes)
    curve = clicks.of_clusters(table, names, setting.clicks, groups, setting.rare, checkpoint)
    numbers = {
        **naming.scores(matrix, setting.class_count, groups, setting.rare, checkpoint),
        **_areas(curve),
        **partition.by_slide(table, groups, checkpoint),
        **partition.agreement(table, groups, checkpoint),
    }
    cluster_of_cell = table.cluster[table.pair_of_cell]
    given = names.classes[groups.fold_of_cell(), cluster_of_cell]
    return Measured(numbers, matrix, given, curve, table.named_count)


def of_singles(cells: Cells, label_count: int, setting: Setting) -> Measured:
    """Of single cells, as many labelled as there are clusters; their curve has a click for each."""
    groups, checkpoint, classes = setting.groups, setting.checkpoint, setting.class_count

    def after(count: int) -> csr_array:
        given = singles.labelled(cells, groups, count, setting.seed, checkpoint)
        return naming.confusion_of_cells(cells.truth.codes, given, classes, groups)

    curve = clicks.curve(setting.clicks, after, classes, groups, setting.rare, checkpoint)
    given = singles.labelled(cells, groups, label_count, setting.seed, checkpoint)
    matrix = naming.confusion_of_cells(cells.truth.codes, given, classes, groups)
    alone = partition.tabulate(
        np.arange(len(cells), dtype=np.int64), np.zeros(len(cells), bool), cells.truth.codes, classes, groups
    )
    numbers = {
        **naming.scores(matrix, classes, groups, setting.rare, checkpoint),
        **_areas(curve),
        **partition.by_slide(alone, groups, checkpoint),
        **partition.agreement(alone, groups, checkpoint),
    }
    return Measured(numbers, matrix, given, curve, len(cells))


def ceiling(cells: Cells, setting: Setting) -> Drawn:
    """The most that labels can give: what a linear model of all of them does, or every cell right."""
    if cells.vectors is None:
        ones = np.ones(len(setting.groups.weights))
        return dict.fromkeys(naming.SCORES, ones)
    given = singles.ceiling(cells, setting.groups, setting.seed, setting.checkpoint)
    matrix = naming.confusion_of_cells(cells.truth.codes, given, setting.class_count, setting.groups)
    return naming.scores(matrix, setting.class_count, setting.groups, setting.rare, setting.checkpoint)


def of_the_way(numbers: Drawn, constant: Drawn, top: Drawn) -> Drawn:
    """Which share of the way from the constant to the ceiling scores and areas have gone."""
    ends = {"accuracy": "accuracy", "macro_f1": "macro_f1", **AREAS}
    return {f"{name}_of_the_way": _share(numbers[name], constant[end], top[end]) for name, end in ends.items()}


def _share(value: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    span = high - low
    return ratio(value - low, np.where(span > 0, span, 0))


def _areas(curve: Curve) -> Drawn:
    return {name: curve.area(score) for name, score in AREAS.items()}
