"""Scores of a set of images with their intervals: images, or groups of them that belong together, are drawn again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morula.evaluator.cells import Floats, Ints
from morula.evaluator.draws import Drawn, numbers
from morula.evaluator.shapes import (
    AP_THRESHOLDS,
    F1_THRESHOLDS,
    Overlap,
    aggregated_jaccard,
    dice,
    duplicate_count,
    image_iou,
    instance_dice,
    match,
)

DRAWS, SEED = 1000, 0
THRESHOLDS = tuple(dict.fromkeys((*AP_THRESHOLDS, *F1_THRESHOLDS)))
HALF = 0.5
_OF_IMAGES: Mapping[str, Callable[[Overlap], float]] = {
    "aji": aggregated_jaccard,
    "dice": dice,
    "instance_dice": instance_dice,
    "image_iou": image_iou,
}
"""Of each image by itself: of a set it is their mean."""


@dataclass(frozen=True)
class Tally:
    """What each image adds to the scores of a set: a row each."""

    matched: Ints
    """A column for each of THRESHOLDS, as of `missed` and `wrong`."""
    missed: Ints
    wrong: Ints
    iou_sum: Floats
    """Of matches at a half."""
    of_image: Mapping[str, Floats]
    duplicates: Ints
    boundary_sum_px: Floats
    boundary_count: Ints

    @classmethod
    def of(cls, images: Iterable[Overlap], boundaries_px: Iterable[NDArray[np.float64]] | None = None) -> Tally:
        """`boundaries_px` are distances of outlines of each image, where they are known."""
        pairs = list(images)
        if not pairs:
            raise ValueError("there are no images to score")
        counts = [[match(pair, threshold) for threshold in THRESHOLDS] for pair in pairs]
        columns = {
            name: [[getattr(one, name) for one in row] for row in counts] for name in ("matched", "missed", "wrong")
        }
        apart = [np.zeros(0)] * len(pairs) if boundaries_px is None else list(boundaries_px)
        return cls(
            **{name: np.array(values, np.int64) for name, values in columns.items()},
            iou_sum=np.array([row[THRESHOLDS.index(HALF)].iou_sum for row in counts]),
            of_image={name: np.array([make(pair) for pair in pairs]) for name, make in _OF_IMAGES.items()},
            duplicates=np.array([duplicate_count(pair) for pair in pairs]),
            boundary_sum_px=np.array([one.sum() for one in apart]),
            boundary_count=np.array([len(one) for one in apart]),
        )

    def __len__(self) -> int:
        return len(self.matched)

    def drawn(self, weights: NDArray[np.floating]) -> Drawn:
        """The scores by their names where images count so often: a row of weights for each number."""
        matched, missed, wrong = (weights @ counts for counts in (self.matched, self.missed, self.wrong))
        average = _ratio(matched, matched + missed + wrong)
        f1 = _ratio(2 * matched, 2 * matched + missed + wrong)
        half = THRESHOLDS.index(HALF)
        right, lost, surplus = matched[:, half], missed[:, half], wrong[:, half]
        image_count = weights.sum(axis=1)
        boundary_count = weights @ self.boundary_count
        found = {
            **{f"ap_{one:g}": average[:, THRESHOLDS.index(one)] for one in AP_THRESHOLDS},
            "ap_mean": average[:, [THRESHOLDS.index(one) for one in AP_THRESHOLDS]].mean(axis=1),
            "f1_0.5": f1[:, half],
            "precision": _ratio(right, right + surplus),
            "recall": _ratio(right, right + lost),
            "f1_mean": f1[:, [THRESHOLDS.index(one) for one in F1_THRESHOLDS]].mean(axis=1),
            "error_rate": _ratio(lost + surplus, right + lost, empty=0.0),
            "pq": _ratio(weights @ self.iou_sum, right + (lost + surplus) / 2),
            **{name: weights @ values / image_count for name, values in self.of_image.items()},
            "duplicate_count": weights @ self.duplicates,
            "image_count": image_count,
            "true_count": right + lost,
            "predicted_count": right + surplus,
        }
        if self.boundary_count.any():
            found["boundary_px"] = _ratio(weights @ self.boundary_sum_px, boundary_count, empty=np.nan)
        return found


COUNTS = ("duplicate_count", "image_count", "true_count", "predicted_count")
"""Numbers of a set that are no share: they have no interval."""


def scores(images: Iterable[Overlap]) -> dict[str, float]:
    """Scores of a set of images: objects are counted over all of them, what is of images is their mean."""
    tally = Tally.of(images)
    return plain(tally.drawn(np.ones((1, len(tally)))))


def plain(drawn: Drawn) -> dict[str, float]:
    """Values alone."""
    return {name: int(values[0]) if name in COUNTS else float(values[0]) for name, values in drawn.items()}


def weights_of(groups: Sequence[str], draws: int = DRAWS, seed: int = SEED) -> NDArray[np.float64]:
    """How often each image counts: once in the first row, then as its group was drawn. One group is never drawn."""
    _, codes = np.unique(groups, return_inverse=True)
    count = int(codes.max()) + 1
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(count, np.full(count, 1 / count), draws if count > 1 else 0)
    return np.concatenate([np.ones((1, count)), drawn])[:, codes]


def intervals(drawn: Drawn, image_count: int) -> dict[str, Any]:
    """Each score as `{value, low, high, n}`, n images."""
    return numbers({name: values for name, values in drawn.items() if name not in COUNTS}, image_count)


def _ratio(part: Floats | Ints, whole: Floats | Ints, empty: float = 1.0) -> NDArray[np.float64]:
    """Nothing expected and nothing found is right."""
    return np.asarray(np.divide(part, whole, out=np.full(part.shape, empty), where=whole != 0))
