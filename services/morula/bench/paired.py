"""Two ways to label the same cells: which is better, with an interval. Patients are drawn again, not cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
LEVEL = 0.95

Counts = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Difference:
    """Mean over the splits, and its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def interval(self) -> tuple[float, float]:
        return round(self.low, 4), round(self.high, 4)


def counted(truth: Rows, predicted: Rows, patients: Rows, class_count: int, patient_count: int) -> Counts:
    """Cells by patient, true class and given class; no class given is 0."""
    found = np.zeros((patient_count, class_count + 1, class_count + 1))
    np.add.at(found, (patients, truth, predicted), 1.0)
    found[:, 0] = 0.0
    return found


def macro_f1(counts: Counts) -> NDArray[np.float64]:
    """Of tables of true and given classes (..., k, k): mean over the classes that are there."""
    right = np.einsum("...kk->...k", counts)
    both = counts.sum(axis=-1) + counts.sum(axis=-2)
    is_true = counts.sum(axis=-1) > 0
    shares = np.divide(2 * right, both, out=np.zeros_like(both), where=is_true)
    return np.asarray(shares.sum(axis=-1) / np.maximum(is_true.sum(axis=-1), 1))


def difference(ours: Sequence[Counts], theirs: Sequence[Counts]) -> Difference:
    """Of macro-F1, mean of the splits (a table by patient each); one draw of patients serves all splits."""
    patient_count = len(ours[0])
    drawn = np.random.default_rng(0).multinomial(patient_count, np.full(patient_count, 1 / patient_count), DRAWS)
    weights = np.concatenate([np.ones((1, patient_count)), drawn])
    gains = [
        macro_f1(_drawn(weights, one)) - macro_f1(_drawn(weights, other))
        for one, other in zip(ours, theirs, strict=True)
    ]
    gain = np.mean(gains, axis=0)
    low, high = np.quantile(gain[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Difference(float(gain[0]), float(low), float(high))


def _drawn(weights: Counts, tables: Counts) -> Counts:
    """The table of each draw: a product of matrices, which is faster than a sum by einsum."""
    return np.asarray((weights @ tables.reshape(len(tables), -1)).reshape(len(weights), *tables.shape[1:]))
