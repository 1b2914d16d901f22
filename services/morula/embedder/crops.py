"""Cells of a region as a network sees them: batches of pictures of one size, of the region's pixels as they are.

A picture is RGB, planes first, 0 to 255, with the cell's mask as a fourth plane where a network is shown it: who
computes normalises once. A `Windows` shows a fixed physical size around
each cell, a `Boxes` the tight box of each cell at one size, as the published system does.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from morula.embedder.instances import RegionCells

Pictures = NDArray[np.uint8]
"""(cells, 3 or 4, side, side)"""
Floats = NDArray[np.float64]

_FEATHER_UM = 0.5
_RESIZED_PX, _MIDDLE_PX = 256, 224
_WHITE = 255
_EVEN = 1e-6
"""A cell whose sides differ by no more is no darker on one; what is left is rounding."""


class Crops(Protocol):
    """Pictures of some of a region's cells, by their numbers in it."""

    def __call__(self, cells: NDArray[np.int64], /) -> Pictures: ...


class Windows:
    """So many um around each cell's middle, turned to the cell's own axes, with other cells faded.

    Turned, a cell looks the same whichever way it lies, mirrored or not, at the cost of one picture: the first axis is
    the cell's long one, and both point to its darker side. Beyond the region its pixels are reflected. With `masks`
    the fourth plane says which pixels are the cell's.
    """

    def __init__(
        self, cells: RegionCells, side_um: float, side_px: int, *, fades: bool = True, masks: bool = False
    ) -> None:
        step = side_um / cells.region.mpp / side_px
        pixels, labels, self._centres, self._axes = _framed(cells)
        self._background = _background(pixels, labels)
        if step > 1:  # Finer than it is shown: as many px as are seen, each the mean of those that it covers.
            pixels, labels, self._centres = _shrunk(pixels, labels, self._centres, step)
        self._step = min(step, 1.0)
        self._feather_px = _FEATHER_UM * self._step * side_px / side_um
        self._side_px, self._fades, self._masks = side_px, fades, masks
        self._reach = int(np.ceil(side_px * self._step * 2**-0.5)) + 2
        margin = (self._reach,) * 4
        self._pixels = np.asarray(cv2.copyMakeBorder(pixels, *margin, cv2.BORDER_REFLECT_101), np.uint8)
        self._labels = np.asarray(cv2.copyMakeBorder(labels, *margin, cv2.BORDER_REFLECT_101), np.int32)

    def __call__(self, cells: NDArray[np.int64], /) -> Pictures:
        pictures = np.empty((len(cells), 3 + self._masks, self._side_px, self._side_px), np.uint8)
        for picture, cell in zip(pictures, cells, strict=True):
            self._draw(int(cell), picture)
        return pictures

    def _draw(self, cell: int, picture: NDArray[np.uint8]) -> None:
        x, y = np.floor(self._centres[cell]).astype(int)
        around = np.s_[y : y + 2 * self._reach + 1, x : x + 2 * self._reach + 1]
        labels = self._labels[around]
        seen = self._faded(self._pixels[around], labels, cell + 1)
        middle = self._centres[cell] - (x, y) + self._reach
        towards = self._step * self._axes[cell].T  # Columns: a px to the right and one down in the picture.
        corner = middle - towards @ np.full(2, (self._side_px - 1) / 2) - 0.5
        placed = np.column_stack([towards, corner])
        picture[:3] = self._turned(seen, placed, cv2.INTER_LINEAR).transpose(2, 0, 1)
        if self._masks:
            own = np.where(labels == cell + 1, _WHITE, 0).astype(np.uint8)
            picture[3] = self._turned(own, placed, cv2.INTER_NEAREST)

    def _turned(self, image: NDArray[np.uint8], placed: Floats, how: int) -> NDArray[np.uint8]:
        size, flags = (self._side_px, self._side_px), how | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(image, placed, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101), np.uint8)

    def _faded(self, pixels: NDArray[np.uint8], labels: NDArray[np.int32], own: int) -> NDArray[np.uint8]:
        """The pixels, those of other cells as the background."""
        others = (labels != own) & (labels != 0)
        if not (self._fades and others.any()):
            return pixels
        share = cv2.GaussianBlur(others.astype(np.float32), (0, 0), self._feather_px)
        share = np.where(labels == own, 0, np.maximum(share, others))[..., None]
        faded: NDArray[np.uint8] = np.rint(pixels + share * (self._background - pixels)).astype(np.uint8)
        return faded


class Boxes:
    """The tight box of each cell: its shorter side resized to 256 px of 224 that are shown, and of that the middle.

    The same as Pillow's bilinear resize, which smooths where it shrinks, and torchvision's centre crop.
    """

    def __init__(self, cells: RegionCells, side_px: int) -> None:
        self._pixels, self._side_px = cells.region.pixels, side_px
        self._boxes = shapely.bounds(cells.polygons).astype(np.int64)

    def __call__(self, cells: NDArray[np.int64], /) -> Pictures:
        pictures = np.empty((len(cells), 3, self._side_px, self._side_px), np.uint8)
        for picture, (left, top, right, bottom) in zip(pictures, self._boxes[cells], strict=True):
            picture[:] = resized_middle(self._pixels[top:bottom, left:right], self._side_px)
        return pictures


def resized_middle(pixels: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """(height, width, 3) -> (3, side, side)"""
    height, width = pixels.shape[:2]
    shorter, resized_px = min(height, width), _RESIZED_PX * side_px // _MIDDLE_PX
    down, across = (_middle_weights(side, resized_px * side // shorter, side_px) for side in (height, width))
    rows = pixels.transpose(0, 2, 1).reshape(-1, width).astype(np.float32)
    # Across first, and whole grey levels in between: so does Pillow.
    narrow = _grey_levels(rows, np.ascontiguousarray(across.T)).reshape(height, -1)
    return _grey_levels(down, narrow).reshape(side_px, 3, side_px).transpose(1, 0, 2).astype(np.uint8)


def _grey_levels(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """The product. numpy would wake all processors for it, which costs more than it does."""
    product = np.asarray(cv2.gemm(left, right, 1.0, None, 0.0), np.float32)  # type: ignore[call-overload]
    return np.asarray(np.floor(product + np.float32(0.5)), np.float32)


@lru_cache(maxsize=512)
def _middle_weights(size: int, resized: int, side_px: int) -> NDArray[np.float32]:
    """How much each px of a side counts in each of the middle px of the resized side."""
    start = round((resized - side_px) / 2)
    scale = size / resized
    reach = max(scale, 1.0)
    middles = (start + np.arange(side_px) + 0.5) * scale
    weights = np.maximum(0, 1 - np.abs(np.arange(size) + 0.5 - middles[:, None]) / reach)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def _framed(cells: RegionCells) -> tuple[NDArray[np.uint8], NDArray[np.int32], Floats, Floats]:
    """Pixels and labels, and of each cell its middle (x, y) and its two axes as rows of (x, y)."""
    pixels, labels = cells.region.pixels, cells.labels
    count = cells.polygons.size
    flat = np.flatnonzero(labels)
    cell = labels.ravel()[flat].astype(np.int64) - 1
    row, column = np.divmod(flat, labels.shape[1])
    area = np.bincount(cell, minlength=count)

    def mean(values: Floats) -> Floats:
        return np.asarray(np.bincount(cell, values, count) / area)

    centres = np.stack([mean(column + 0.5), mean(row + 0.5)], axis=1)
    dx, dy = column + 0.5 - centres[cell, 0], row + 0.5 - centres[cell, 1]
    angle = np.arctan2(2 * mean(dx * dy), mean(dx * dx) - mean(dy * dy)) / 2
    axes = np.stack([np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle)], axis=1).reshape(-1, 2, 2)
    darkness = _WHITE - pixels.reshape(-1, 3)[flat].mean(axis=1)
    darker = np.stack([mean(darkness * dx), mean(darkness * dy)], axis=1)
    towards = np.einsum("nij,nj->ni", axes, darker)
    return pixels, labels, centres, axes * np.where(towards < -_EVEN, -1.0, 1.0)[..., None]


def _background(pixels: NDArray[np.uint8], labels: NDArray[np.int32]) -> NDArray[np.float32]:
    """The middle colour of what is no cell; white where nothing is."""
    outside = (labels == 0).astype(np.uint8)
    if not outside.any():
        return np.full(3, _WHITE, np.float32)
    levels = [cv2.calcHist([pixels], [channel], outside, [256], [0, 256]).ravel().cumsum() for channel in range(3)]
    return np.array([np.searchsorted(level, level[-1] / 2) for level in levels], np.float32)


def _shrunk(
    pixels: NDArray[np.uint8], labels: NDArray[np.int32], centres: Floats, step: float
) -> tuple[NDArray[np.uint8], NDArray[np.int32], Floats]:
    height, width = (max(1, round(side / step)) for side in labels.shape)
    scale = np.array([width / labels.shape[1], height / labels.shape[0]])
    fewer = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    columns, rows = ((np.arange(side) + 0.5) / each for side, each in zip((width, height), scale, strict=True))
    return fewer, labels[np.ix_(rows.astype(np.int64), columns.astype(np.int64))], centres * scale
