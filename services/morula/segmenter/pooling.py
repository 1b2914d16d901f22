"""What a network sees of each object: its features under the object's mask, an embedding that costs nothing more."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from morula.networks.network import FEATURE_STEP_PX
from morula.segmenter import kernels
from morula.segmenter.crops import CropGrid, tapers

Halves = NDArray[np.float16]


@dataclass(frozen=True)
class CropFeatures:
    """Features of an image's crops (n, width, height / 4, width / 4), as the network saw them."""

    crops: Halves
    grid: CropGrid

    def under(self, labels: NDArray[np.int32], count: int) -> Halves:
        """Mean features (count, width) of labels 1 to `count` at the image's own scale.

        Crops count as they do where their maps are blended. Each px of the image looks up where it was shown, so that
        the smallest object has features, too.
        """
        grid = self.grid
        taper_y, taper_x, _, _ = tapers(grid)
        shown_y = _shown(labels.shape[0], grid.height) + grid.top_px
        shown_x = _shown(labels.shape[1], grid.width) + grid.left_px
        sums, weights = np.zeros((count + 1, self.crops.shape[1])), np.zeros(count + 1)
        for seen, (row, column) in zip(self.crops, grid.places(), strict=True):
            down, across = grid.flips(row, column)
            y, rows = _inside(shown_y, grid.rows[row], grid.crop[0], flipped=down)
            x, columns = _inside(shown_x, grid.columns[column], grid.crop[1], flipped=across)
            squares = np.ascontiguousarray(np.moveaxis(seen, 0, -1), np.float32)
            kernels.pool(labels[rows, columns], squares, FEATURE_STEP_PX, y, x, taper_y, taper_x, sums, weights)
        means: Halves = (sums[1:] / weights[1:, None]).astype(np.float16)
        return means


def _shown(side: int, shown: int) -> NDArray[np.int64]:
    """Where the middle of each px of a side was shown."""
    return ((np.arange(side) + 0.5) * shown / side).astype(np.int64)


def _inside(shown: NDArray[np.int64], start: int, side: int, *, flipped: bool) -> tuple[NDArray[np.int64], slice]:
    """The places within a crop of those px that it shows, and which they are."""
    first, stop = np.searchsorted(shown, [start, start + side])
    places = shown[first:stop] - start
    return (side - 1 - places if flipped else places), slice(int(first), int(stop))


def warm() -> None:
    """Compiles its loop before somebody waits for it, for a picture in one crop and for a part of a larger one."""
    squares, taper = np.zeros((1, 1, 1), np.float32), np.ones(2)
    for labels in (np.zeros((2, 1), np.int32), np.zeros((2, 2), np.int32)[:, :1]):
        nowhere = np.zeros(2, np.int64)
        kernels.pool(labels, squares, 1, nowhere, nowhere, taper, taper, np.zeros((1, 1)), np.zeros(1))
