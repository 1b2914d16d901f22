"""How well instances agree with the truth: pure functions of label images, by the definitions that papers use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Labels = NDArray[np.integer]

AP_THRESHOLDS = tuple(np.round(np.arange(0.5, 0.96, 0.05), 2).tolist())
F1_THRESHOLDS = tuple(np.round(np.arange(0.1, 1.01, 0.1), 2).tolist())
_FLOAT_SLACK = 1e-9


@dataclass(frozen=True)
class Overlap:
    """Objects of an image's truth and prediction, and how they overlap."""

    intersection: NDArray[np.int64]
    """Pixels by object of the truth (rows) and of the prediction (columns)."""
    true_areas: NDArray[np.int64]
    predicted_areas: NDArray[np.int64]

    @property
    def iou(self) -> NDArray[np.float64]:
        union = self.true_areas[:, None] + self.predicted_areas[None, :] - self.intersection
        ratio: NDArray[np.float64] = self.intersection / np.maximum(union, 1)
        return ratio

    @property
    def is_empty(self) -> bool:
        return not (self.true_areas.size or self.predicted_areas.size)


@dataclass(frozen=True)
class Counts:
    """Objects matched one to one at a threshold, and those that were not."""

    matched: int
    missed: int
    wrong: int
    iou_sum: float = 0.0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.matched + other.matched,
            self.missed + other.missed,
            self.wrong + other.wrong,
            self.iou_sum + other.iou_sum,
        )

    @property
    def average_precision(self) -> float:
        """Cellpose's: TP / (TP + FP + FN)."""
        return _ratio(self.matched, self.matched + self.missed + self.wrong)

    @property
    def f1(self) -> float:
        return _ratio(2 * self.matched, 2 * self.matched + self.missed + self.wrong)

    @property
    def precision(self) -> float:
        return _ratio(self.matched, self.matched + self.wrong)

    @property
    def recall(self) -> float:
        return _ratio(self.matched, self.matched + self.missed)

    @property
    def error_rate(self) -> float:
        """(FP + FN) per object of the truth."""
        return _ratio(self.missed + self.wrong, self.matched + self.missed, empty=0.0)

    @property
    def panoptic_quality(self) -> float:
        return _ratio(self.iou_sum, self.matched + (self.missed + self.wrong) / 2)


def overlap(truth: Labels, prediction: Labels) -> Overlap:
    """How two label images of one size overlap; labels need not be in sequence."""
    if truth.shape != prediction.shape:
        raise ValueError(f"truth is {truth.shape}, prediction {prediction.shape}")
    _, true = np.unique(truth, return_inverse=True)
    _, predicted = np.unique(prediction, return_inverse=True)
    true = true.ravel() + (0 if (truth == 0).any() else 1)
    predicted = predicted.ravel() + (0 if (prediction == 0).any() else 1)
    shape = (int(true.max(initial=0)) + 1, int(predicted.max(initial=0)) + 1)
    table = np.bincount(true * shape[1] + predicted, minlength=shape[0] * shape[1]).reshape(shape)
    return Overlap(table[1:, 1:], table[1:].sum(axis=1), table[:, 1:].sum(axis=0))


def match(pair: Overlap, threshold: float) -> Counts:
    """One-to-one matches with at least this IoU, as many as there can be."""
    iou = pair.iou
    rows, columns = matches(iou, threshold)
    return Counts(len(rows), iou.shape[0] - len(rows), iou.shape[1] - len(rows), float(iou[rows, columns].sum()))


def matches(iou: NDArray[np.float64], threshold: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Objects of the truth and of the prediction that are matched."""
    good = iou >= threshold - _FLOAT_SLACK
    if not good.any():
        nothing = np.zeros(0, np.intp)
        return nothing, nothing
    # Matches first, then their IoU: no sum of IoUs outweighs one more match.
    rows, columns = linear_sum_assignment(-(good + iou * good / (2 * min(iou.shape))))
    pairs = good[rows, columns]
    return rows[pairs], columns[pairs]


def aggregated_jaccard(pair: Overlap) -> float:
    """AJI: each object of the truth with its best prediction; predictions that nobody took count as errors."""
    if pair.is_empty:
        return 1.0
    if not pair.true_areas.size or not pair.predicted_areas.size:
        return 0.0
    best = pair.iou.argmax(axis=1)
    rows = np.flatnonzero(pair.intersection.max(axis=1) > 0)
    shared = int(pair.intersection[rows, best[rows]].sum())
    union = int(pair.true_areas.sum() + pair.predicted_areas[best[rows]].sum()) - shared
    unused = np.setdiff1d(np.arange(pair.predicted_areas.size), best[rows])
    return shared / (union + int(pair.predicted_areas[unused].sum()))


def instance_dice(pair: Overlap) -> float:
    """Each object's Dice with the one it shares most with, weighed by area: mean of both sides. What shares with
    nothing has 0."""
    if pair.is_empty:
        return 1.0
    if not pair.true_areas.size or not pair.predicted_areas.size:
        return 0.0
    ratio = 2 * pair.intersection / (pair.true_areas[:, None] + pair.predicted_areas[None, :])
    by_truth = ratio[np.arange(len(ratio)), pair.intersection.argmax(axis=1)]
    by_prediction = ratio[pair.intersection.argmax(axis=0), np.arange(ratio.shape[1])]
    sides = np.average(by_truth, weights=pair.true_areas), np.average(by_prediction, weights=pair.predicted_areas)
    return float(np.mean(sides))


def duplicate_count(pair: Overlap) -> int:
    """Predictions that lie by more than half in an object of the truth in which another one lies already."""
    inside = 2 * pair.intersection > pair.predicted_areas[None, :]
    return int(np.maximum(inside.sum(axis=1) - 1, 0).sum())


def dice(pair: Overlap) -> float:
    """Of foreground, whoever's it is."""
    shared = int(pair.intersection.sum())
    return _ratio(2 * shared, int(pair.true_areas.sum() + pair.predicted_areas.sum()))


def image_iou(pair: Overlap) -> float:
    """Of foreground, whoever's it is."""
    shared = int(pair.intersection.sum())
    return _ratio(shared, int(pair.true_areas.sum() + pair.predicted_areas.sum()) - shared)


def _ratio(part: float, whole: float, empty: float = 1.0) -> float:
    """Nothing expected and nothing found is right."""
    return part / whole if whole else empty
