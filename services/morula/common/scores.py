"""Macro-F1, always beside the constant predictor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Classes = NDArray[Any]
"""Class of each cell, by number or by name."""


def macro_f1(truth: Classes, predicted: Classes) -> float:
    """Mean F1 over the classes of the truth; no label counts as wrong."""
    scores = [_f1(truth == label, predicted == label) for label in np.unique(truth)]
    return float(np.mean(scores)) if scores else 0.0


def constant(truth: Classes) -> Classes:
    """What calling every cell the commonest class gives."""
    classes, counts = np.unique(truth, return_counts=True)
    return np.full(len(truth), classes[np.argmax(counts)] if len(classes) else "")


def _f1(truth: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> float:
    both = np.count_nonzero(truth & predicted)
    return float(2 * both / (np.count_nonzero(truth) + np.count_nonzero(predicted)))
