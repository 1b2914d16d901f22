"""How far outlines lie from those of the truth: over objects that are matched, in pixels of their images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from morula.evaluator.shapes import Labels, matches, overlap

THRESHOLD = 0.5
_CROSS = ndimage.generate_binary_structure(2, 1)


def distances_px(truth: Labels, prediction: Labels) -> NDArray[np.float64]:
    """The mean distance between the outlines of each matched pair: of pixels of either to the nearest of the other."""
    return np.fromiter(_distances(truth, prediction), np.float64)


def _distances(truth: Labels, prediction: Labels) -> Iterator[float]:
    rows, columns = matches(overlap(truth, prediction).iou, THRESHOLD)
    true_ids, found_ids = (np.setdiff1d(np.unique(labels), [0]) for labels in (truth, prediction))
    true_places, found_places = (ndimage.find_objects(labels.astype(np.int32)) for labels in (truth, prediction))
    for row, column in zip(rows, columns, strict=True):
        true, found = true_ids[row], found_ids[column]
        place = _around(true_places[true - 1], found_places[found - 1])
        one, two = (
            _outline(np.pad(labels[place] == number, 1)) for labels, number in ((truth, true), (prediction, found))
        )
        to_two, to_one = (ndimage.distance_transform_edt(~outline) for outline in (two, one))
        yield float((to_two[one].mean() + to_one[two].mean()) / 2)


def _around(one: tuple[slice, slice], two: tuple[slice, slice]) -> tuple[slice, ...]:
    return tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, two, strict=True))


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of an object that touch what is not it."""
    return np.asarray(mask & ~ndimage.binary_erosion(mask, _CROSS))
