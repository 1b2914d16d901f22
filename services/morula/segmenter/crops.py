"""An image as overlapping square crops, and what a network says of crops as one image again.

The grid, its padding and the weights of the blend are those of Cellpose, so that masks are comparable: crops overlap
by a fifth in effect, their borders count little, and augmentation sees every second crop flipped, with half overlap.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
Taper = NDArray[np.float64]

DY, DX = -3, -2
"""Places of the flow among a network's channels."""

_OVERLAP = 0.1
_PAD_STEP_PX = 16
_PAD_PX = 8
_TAPER_PX = 20
_TAPER_WIDTH_PX = 7.5
_LEAST_TAPERED_PX = 224


@dataclass(frozen=True)
class CropGrid:
    """Where the crops of an image of `height` x `width` lie in the padded image."""

    height: int
    width: int
    top_px: int
    left_px: int
    padded: tuple[int, int]
    crop: tuple[int, int]
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    is_flipped: bool

    @property
    def crop_count(self) -> int:
        return len(self.rows) * len(self.columns)

    def places(self) -> list[tuple[int, int]]:
        """Row and column of each crop, in their order."""
        return [(row, column) for row in range(len(self.rows)) for column in range(len(self.columns))]

    def flips(self, row: int, column: int) -> tuple[bool, bool]:
        """Whether the crop there is seen upside down, and whether back to front."""
        return self.is_flipped and column % 2 == 1, self.is_flipped and row % 2 == 1


def plan(height: int, width: int, crop_px: int, *, augment: bool = False, whole: bool = True) -> CropGrid:
    """Grid of an image; crops of small images are `whole` (padded to the full side), or as small as the image."""
    (top, padded_height), (left, padded_width) = (_padding(side, crop_px if whole else 0) for side in (height, width))
    if augment:
        padded_height, padded_width = max(padded_height, crop_px), max(padded_width, crop_px)
    crop = (min(crop_px, padded_height), min(crop_px, padded_width))
    return CropGrid(
        height=height,
        width=width,
        top_px=top,
        left_px=left,
        padded=(padded_height, padded_width),
        crop=crop,
        rows=_starts(padded_height, crop[0], crop_px, augment=augment),
        columns=_starts(padded_width, crop[1], crop_px, augment=augment),
        is_flipped=augment,
    )


def _padding(side: int, least: int) -> tuple[int, int]:
    """Px before the image, and its side with them and those behind it."""
    fill = ceil(side / _PAD_STEP_PX) * _PAD_STEP_PX - side if side >= least else max(0, least - side - 2 * _PAD_PX)
    return _PAD_PX + fill // 2, side + 2 * _PAD_PX + fill


def _starts(side: int, crop: int, crop_px: int, *, augment: bool) -> tuple[int, ...]:
    if augment:
        count = max(2, ceil(2.0 * side / crop_px))
    else:
        count = 1 if side <= crop_px else ceil((1.0 + 2 * _OVERLAP) * side / crop_px)
    return tuple(int(start) for start in np.linspace(0, side - crop, count).astype(int))


def cut(image: Image, grid: CropGrid, *, mirrored: bool = False) -> Image:
    """Crops (n, channels, height, width) of an image (channels, height, width).

    Beyond the image is nothing, which a network takes for black, or with `mirrored` the image once more, back to front.
    """
    behind = (grid.padded[0] - grid.height - grid.top_px, grid.padded[1] - grid.width - grid.left_px)
    beyond = ((0, 0), (grid.top_px, behind[0]), (grid.left_px, behind[1]))
    padded = np.pad(image, beyond, mode="symmetric" if mirrored else "constant")
    crops = np.empty((grid.crop_count, image.shape[0], *grid.crop), np.float32)
    height, width = grid.crop
    for n, (row, column) in enumerate(grid.places()):
        y, x = grid.rows[row], grid.columns[column]
        crops[n] = _flip(padded[:, y : y + height, x : x + width], row, column, grid)
    return crops


def blend(outputs: Iterable[Image], grid: CropGrid) -> Image:
    """One image (channels, height, width) of the crops' outputs, of which the last three channels are `DY`, `DX` and
    a probability; what is before them, maps of classes, has no direction.

    An image is large, and three regions are at work at once: nothing is made of its size but itself.
    """
    height, width = grid.crop
    taper_y, taper_x, down, across = tapers(grid)
    taper = taper_y[:, None] * taper_x
    total = np.empty(0, np.float32)
    for output, (row, column) in zip(outputs, grid.places(), strict=True):
        if not total.size:
            total = np.zeros((output.shape[0], *grid.padded), np.float32)
        y, x = grid.rows[row], grid.columns[column]
        total[:, y : y + height, x : x + width] += _unflip(output, row, column, grid) * taper
    inner = (slice(grid.top_px, grid.top_px + grid.height), slice(grid.left_px, grid.left_px + grid.width))
    blended = np.ascontiguousarray(total[:, *inner])
    for line, weight in zip(np.moveaxis(blended, 1, 0), down[inner[0]], strict=True):
        line /= weight * across[inner[1]]
    return blended


def _flip(crop: Image, row: int, column: int, grid: CropGrid) -> Image:
    down, across = grid.flips(row, column)
    crop = crop[:, ::-1] if down else crop
    return crop[:, :, ::-1] if across else crop


def _unflip(output: Image, row: int, column: int, grid: CropGrid) -> Image:
    """Back to front, and what pointed down in the flipped crop points up."""
    if not grid.is_flipped:
        return output
    upright = _flip(output, row, column, grid).copy()
    down, across = grid.flips(row, column)
    if down:
        upright[DY] *= -1
    if across:
        upright[DX] *= -1
    return upright


def tapers(grid: CropGrid) -> tuple[Taper, Taper, Taper, Taper]:
    """How much the px of a crop count, down and across, and of the padded image the sums of what counts on them: what
    counts on a px of it is the product of its row's and its column's."""
    taper_y, taper_x = (_taper(side, max(grid.crop)) for side in grid.crop)
    down, across = _weights(grid.rows, taper_y, grid.padded[0]), _weights(grid.columns, taper_x, grid.padded[1])
    return taper_y, taper_x, down, across


def _taper(side: int, longest: int) -> NDArray[np.float64]:
    """Weights along one side of a crop: near 1 inside, falling over its outer px."""
    full = max(_LEAST_TAPERED_PX, longest)
    away = np.abs(np.arange(full) - (full - 1) / 2)
    taper = 1 / (1 + np.exp((away - (full / 2 - _TAPER_PX)) / _TAPER_WIDTH_PX))
    first = full // 2 - side // 2
    return taper[first : first + side]  # type: ignore[no-any-return]


def _weights(starts: tuple[int, ...], taper: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Sum of the tapers that lie on each px of a side; the weights of an image are a product of two such sums."""
    weights = np.zeros(side)
    for start in starts:
        weights[start : start + taper.size] += taper
    return weights
