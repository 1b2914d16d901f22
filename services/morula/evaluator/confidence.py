"""What a confidence is worth: accuracy of the surest cells, and whether it says how often it is right."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from morula.common.compute import Checkpoint
from morula.evaluator.cells import Flags, Floats
from morula.evaluator.draws import Drawn, Groups, number, ratio

STEPS = 10


def coverage(confidence: Floats, right: Flags, is_none: Flags, groups: Groups) -> list[dict[str, Any]]:
    """Accuracy of the surest tenth, two tenths ... of all cells; cells that are in none are never among them."""
    in_one = np.sort(confidence[~is_none])[::-1]
    told: list[dict[str, Any]] = []
    for wanted in range(1, STEPS + 1):
        count = min(len(in_one), -(-wanted * len(confidence) // STEPS))
        if not count or (told and told[-1]["least_confidence"] == in_one[count - 1]):
            continue
        chosen = ~is_none & (confidence >= in_one[count - 1])
        counts = _counts(chosen, right, groups)
        total = np.bincount(groups.of_cell, minlength=groups.count)
        told.append({
            "least_confidence": float(in_one[count - 1]),
            "coverage": number(ratio(groups.weights @ counts[0], groups.weights @ total), len(confidence)),
            "accuracy": number(ratio(groups.weights @ counts[1], groups.weights @ counts[0]), int(chosen.sum())),
        })  # fmt: skip
    return told


def calibration(
    confidence: Floats, right: Flags, is_none: Flags, groups: Groups, checkpoint: Checkpoint
) -> dict[str, Any]:
    """Of tenths of the confidence, how sure cells are and how many are right; `error` is the mean distance (ECE)."""
    bins = np.where(is_none, -1, np.minimum((confidence * STEPS).astype(np.int64), STEPS - 1))
    weighed = (np.ones(len(bins)), confidence.astype(np.float64), right.astype(np.float64))
    tables = [_binned(bins, weights, groups) for weights in weighed]
    together = csr_array(np.hstack([table.toarray() for table in tables]))

    def of_counts(flat: NDArray[np.float64]) -> Drawn:
        cells, sure, correct = np.split(flat, 3, axis=1)
        return {
            "error": ratio(np.abs(correct - sure).sum(axis=1), cells.sum(axis=1)),
            "confidence": ratio(sure, cells),
            "accuracy": ratio(correct, cells),
            "cells": cells,
        }

    drawn = groups.each(together, of_counts, checkpoint)
    filled = np.flatnonzero(drawn["cells"][0] > 0)
    return {
        "error": number(drawn["error"], int((~is_none).sum())),
        "bins": [
            {
                "confidence": round(float(drawn["confidence"][0, place]), 6),
                "accuracy": number(drawn["accuracy"][:, place], int(drawn["cells"][0, place])),
            }
            for place in filled.tolist()
        ],
    }


def _binned(bins: NDArray[np.int64], weights: NDArray[np.float64], groups: Groups) -> csr_array:
    there = bins >= 0
    return csr_array((weights[there], (groups.of_cell[there], bins[there])), shape=(groups.count, STEPS))


def _counts(chosen: Flags, right: Flags, groups: Groups) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    cells = np.bincount(groups.of_cell[chosen], minlength=groups.count)
    correct = np.bincount(groups.of_cell[chosen & right], minlength=groups.count)
    return cells.astype(np.float64), correct.astype(np.float64)
