"""Scores by clicks, and the area below them: what a way of labelling is worth long before it is done."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from morula.evaluator.cells import Ints
from morula.evaluator.draws import Drawn

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
