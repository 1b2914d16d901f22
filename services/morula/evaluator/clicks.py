"""Scores by clicks, and the area below them: what a way of labelling is worth long before it is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from morula.common.compute import Checkpoint
from morula.evaluator.cells import Ints
from morula.evaluator.draws import Drawn, Groups
from morula.evaluator.naming import Names, confusion, scores
from morula.evaluator.partition import Table

POINTS = 16
"""So many numbers of clicks are looked at, close together where they are few."""


@dataclass(frozen=True)
class Curve:
    """Scores after so many clicks each."""

    clicks: Ints
    scores: list[Drawn]

    def area(self, name: str) -> NDArray[np.float64]:
        """Mean of a score over the clicks, from the first to the last of the budget."""
        values = np.stack([one[name] for one in self.scores])
        if len(self.clicks) == 1:
            return np.asarray(values[0])
        return np.asarray(np.trapezoid(values, self.clicks, axis=0) / (self.clicks[-1] - self.clicks[0]))


def moments(budget: int) -> Ints:
    """Numbers of clicks up to the budget, each a little more than the last."""
    return np.unique(np.geomspace(1, budget, POINTS).round().astype(np.int64))


def curve(
    clicks: Ints,
    after: Callable[[int], csr_array],
    class_count: int,
    groups: Groups,
    rare: Ints,
    checkpoint: Checkpoint,
) -> Curve:
    """`after` tells the confusion of so many clicks."""
    return Curve(clicks, [scores(after(int(count)), class_count, groups, rare, checkpoint) for count in clicks])


def of_clusters(table: Table, names: Names, clicks: Ints, groups: Groups, rare: Ints, checkpoint: Checkpoint) -> Curve:
    """A click names a cluster. Where none is left to name, the last score stays."""
    enough = min(int(clicks[-1]), table.named_count)
    made: dict[int, csr_array] = {}

    def after(count: int) -> csr_array:
        reached = min(count, enough)
        if reached not in made:
            made.clear()
            made[reached] = confusion(table, groups, names.after(reached, table.class_count))
        return made[reached]

    return curve(clicks, after, table.class_count, groups, rare, checkpoint)
