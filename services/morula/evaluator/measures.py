"""All numbers of one grouping of the cells, over all draws."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from morula.common.compute import Checkpoint
from morula.evaluator import naming, partition, singles
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

    def scores(self, flat: NDArray[np.float64]) -> Drawn:
        return naming.scores(flat, self.class_count, self.rare)

    def by_class(self, flat: NDArray[np.float64]) -> Drawn:
        return naming.by_class(flat, self.class_count)


@dataclass(frozen=True)
class Measured:
    """What was measured of a grouping, and the class that each cell got."""

    numbers: Drawn
    classes: Drawn
    """Of each class, a column each."""
    given: Ints
    curve: Curve
    cluster_count: int


def of_clusters(truth: Ints, clusters: Ints, is_none: Flags, setting: Setting) -> Measured:
    """Of clusters: named on one part and scored on the rest, named by slide, and how they agree with classes."""
    groups, checkpoint, count = setting.groups, setting.checkpoint, setting.class_count
    table = partition.tabulate(clusters, is_none, truth, count, groups)
    budget = setting.clicks.tolist()
    scored, by_class = naming.drawn(table, groups, budget, setting.scores, setting.by_class, checkpoint)
    curve = Curve(setting.clicks, scored[:-1])
    numbers = {
        **scored[-1],
        **_areas(curve),
        **partition.by_slide(table, groups, checkpoint),
        **partition.agreement(table, groups, checkpoint),
    }
    names = naming.name_clusters(table, groups)
    given = names[groups.fold_of_cell(), table.cluster[table.pair_of_cell]]
    return Measured(numbers, by_class, given, curve, table.named_count)


def of_singles(cells: Cells, label_count: int, setting: Setting) -> Measured:
    """Of single cells, as many labelled as there are clusters; their curve has a click for each."""
    groups, checkpoint = setting.groups, setting.checkpoint
    labelled = [
        singles.labelled(cells, groups, count, setting.seed, checkpoint)
        for count in (*setting.clicks.tolist(), label_count)
    ]
    scored = [of_given(cells.truth.codes, given, setting, setting.scores) for given in labelled]
    curve = Curve(setting.clicks, scored[:-1])
    alone = partition.tabulate(
        np.arange(len(cells), dtype=np.int64),
        np.zeros(len(cells), bool),
        cells.truth.codes,
        setting.class_count,
        groups,
    )
    numbers = {
        **scored[-1],
        **_areas(curve),
        **partition.by_slide(alone, groups, checkpoint),
        **partition.agreement(alone, groups, checkpoint),
    }
    classes = of_given(cells.truth.codes, labelled[-1], setting, setting.by_class)
    return Measured(numbers, classes, labelled[-1], curve, len(cells))


def of_given(truth: Ints, given: Ints, setting: Setting, make: naming.Make) -> Drawn:
    """Of classes that cells got each by itself."""
    matrix = naming.confusion_of_cells(truth, given, setting.class_count, setting.groups)
    return setting.groups.each(matrix, make, setting.checkpoint)


def ceiling(cells: Cells, setting: Setting) -> Drawn:
    """The most that labels can give: what a linear model of all of them does, or every cell right."""
    if cells.vectors is None:
        ones = np.ones(len(setting.groups.weights))
        return dict.fromkeys(naming.SCORES, ones)
    given = singles.ceiling(cells, setting.groups, setting.seed, setting.checkpoint)
    return of_given(cells.truth.codes, given, setting, setting.scores)


def of_the_way(numbers: Drawn, constant: Drawn, top: Drawn) -> Drawn:
    """Which share of the way from the constant to the ceiling scores and areas have gone."""
    ends = {"accuracy": "accuracy", "macro_f1": "macro_f1", **AREAS}
    return {f"{name}_of_the_way": _share(numbers[name], constant[end], top[end]) for name, end in ends.items()}


def _share(value: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    span = high - low
    return ratio(value - low, np.where(span > 0, span, 0))


def _areas(curve: Curve) -> Drawn:
    return {name: curve.area(score) for name, score in AREAS.items()}
