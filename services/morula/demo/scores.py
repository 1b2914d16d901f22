"""Macro-F1, always beside the constant predictor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Names = NDArray[np.str_]


def macro_f1(truth: Names, predicted: Names) -> float:
    """Mean F1 over the classes of the truth; no label counts as wrong."""
    scores = [_f1(truth == name, predicted == name) for name in np.unique(truth)]
    return float(np.mean(scores)) if scores else 0.0


def constant(truth: Names) -> Names:
    """What calling every cell the commonest class gives."""
    names, counts = np.unique(truth, return_counts=True)
    return np.full(len(truth), names[np.argmax(counts)] if len(names) else "")


def _f1(truth: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> float:
    both = np.count_nonzero(truth & predicted)
    return float(2 * both / (np.count_nonzero(truth) + np.count_nonzero(predicted)))
