"""Where things lie: tiles, regions, blocks. Level-0 pixels, x then y, half-open boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from morula.common.errors import InvalidArgument

BLOCK_PX = 2048
HILBERT_ORDER = 16
SCALE_RANGE_UM = (0.01, 20.0)
"""How wide a pixel can be: of a slide, and of the grid that one is worked on at."""


class Box(NamedTuple):
    """Half-open box in level-0 pixels."""

    x_px: int
    y_px: int
    width_px: int
    height_px: int

    @property
    def x_stop_px(self) -> int:
        return self.x_px + self.width_px

    @property
    def y_stop_px(self) -> int:
        return self.y_px + self.height_px

    def contains(self, x_px: float, y_px: float) -> bool:
        return self.x_px <= x_px < self.x_stop_px and self.y_px <= y_px < self.y_stop_px


class Window(NamedTuple):
    """A rectangle of working pixels: working (u, v) lies at level-0 (x_px + u * downsample, y_px + v * downsample)."""

    x_px: float
    y_px: float
    width: int
    height: int
    downsample: float


@dataclass(frozen=True)
class Grid:
    """Tiles over a slide. The origin is a phase: the grid covers the whole slide wherever its corner lies.

    A tile's number is row * columns + column. Cores of neighbours share integer edges, so every level-0 pixel
    belongs to exactly one core also where a tile's side is no whole number of level-0 pixels.
    """

    origin_x_px: int
    origin_y_px: int
    tile_px: int
    mpp: float
    slide_mpp: float
    width_px: int
    height_px: int

    def __post_init__(self) -> None:
        sizes = (self.tile_px, self.mpp, self.slide_mpp, self.width_px, self.height_px)
        if not all(math.isfinite(size) and size > 0 for size in sizes):
            raise InvalidArgument("a grid's tile, scales and size must be positive")
        if self.side_px < 1:
            raise InvalidArgument(f"tiles of {self.tile_px} px at {self.mpp} um/px are smaller than a pixel")

    @property
    def downsample(self) -> float:
        """Level-0 pixels per working pixel."""
        return self.mpp / self.slide_mpp

    @property
    def side_px(self) -> float:
        """Side of a tile in level-0 pixels, not always a whole number."""
        return self.tile_px * self.downsample

    @cached_property
    def x_edges(self) -> NDArray[np.int64]:
        """Level-0 x where columns begin, and the width."""
        return _edges(self.origin_x_px, self.side_px, self.width_px)

    @cached_property
    def y_edges(self) -> NDArray[np.int64]:
        """Level-0 y where rows begin, and the height."""
        return _edges(self.origin_y_px, self.side_px, self.height_px)

    @property
    def columns(self) -> int:
        return len(self.x_edges) - 1

    @property
    def rows(self) -> int:
        return len(self.y_edges) - 1

    @property
    def tile_count(self) -> int:
        return self.columns * self.rows

    def core(self, tile: int) -> Box:
        """The tile's core in level-0 px, clipped to the slide."""
        row, column = divmod(self._checked(tile), self.columns)
        return self._box(column, column + 1, row, row + 1)

    def cores(self) -> NDArray[np.int64]:
        """x, y, width, height of all cores in level-0 px, in tile order."""
        x, y = np.meshgrid(self.x_edges[:-1], self.y_edges[:-1])
        width, height = np.meshgrid(np.diff(self.x_edges), np.diff(self.y_edges))
        return np.stack([x.ravel(), y.ravel(), width.ravel(), height.ravel()], axis=1)

    def tile_at(self, x_px: float, y_px: float) -> int:
        """The tile whose core contains the level-0 point; -1 beyond the slide."""
        return int(self.tiles_at([x_px], [y_px])[0])

    def tiles_at(self, x_px: ArrayLike, y_px: ArrayLike) -> NDArray[np.int64]:
        """The tile of each level-0 point; -1 beyond the slide."""
        x, y = np.asarray(x_px, np.float64), np.asarray(y_px, np.float64)
        column = np.searchsorted(self.x_edges, x, side="right") - 1
        row = np.searchsorted(self.y_edges, y, side="right") - 1
        inside = (x >= 0) & (x < self.width_px) & (y >= 0) & (y < self.height_px)
        return np.where(inside, row * self.columns + column, -1)

    def region_columns(self, region_tile_count: int) -> int:
        return -(-self.columns // region_tile_count)

    def region_count(self, region_tile_count: int) -> int:
        return self.region_columns(region_tile_count) * -(-self.rows // region_tile_count)

    def regions_of(self, tiles: ArrayLike, region_tile_count: int) -> NDArray[np.int64]:
        """The region of each tile: squares of `region_tile_count` tiles, numbered row by row."""
        row, column = np.divmod(np.asarray(tiles, np.int64), self.columns)
        line = (row // region_tile_count) * self.region_columns(region_tile_count)
        return np.asarray(line + column // region_tile_count, np.int64)

    def region_tiles(self, region: int, region_tile_count: int) -> NDArray[np.int64]:
        """Tiles of a region, ascending; fewer at the right and lower edge."""
        line, place = divmod(region, self.region_columns(region_tile_count))
        rows = np.arange(line * region_tile_count, min((line + 1) * region_tile_count, self.rows))
        columns = np.arange(place * region_tile_count, min((place + 1) * region_tile_count, self.columns))
        if not (rows.size and columns.size):
            raise InvalidArgument(f"the grid has no region {region}")
        return (rows[:, None] * self.columns + columns[None, :]).ravel()

    def bounds(self, tiles: Sequence[int] | NDArray[np.int64]) -> Box:
        """The smallest box, in level-0 px, that covers the cores of these tiles."""
        row, column = np.divmod(np.asarray(tiles, np.int64), self.columns)
        return self._box(int(column.min()), int(column.max()) + 1, int(row.min()), int(row.max()) + 1)

    def window(self, box: Box, halo_px: int = 0) -> Window:
        """The working pixels that cover a level-0 box, and `halo_px` more of them on every side."""
        return Window(
            x_px=box.x_px - halo_px * self.downsample,
            y_px=box.y_px - halo_px * self.downsample,
            width=_covering(box.width_px, self.downsample) + 2 * halo_px,
            height=_covering(box.height_px, self.downsample) + 2 * halo_px,
            downsample=self.downsample,
        )

    def _box(self, column: int, column_stop: int, row: int, row_stop: int) -> Box:
        x, y = int(self.x_edges[column]), int(self.y_edges[row])
        return Box(x, y, int(self.x_edges[column_stop]) - x, int(self.y_edges[row_stop]) - y)

    def _checked(self, tile: int) -> int:
        if not 0 <= tile < self.tile_count:
            raise InvalidArgument(f"the grid has no tile {tile}")
        return tile


def _covering(length_px: int, downsample: float) -> int:
    # Slightly less, because 2048 * (0.5 / 0.2498) / (0.5 / 0.2498) must not become 2049 by rounding.
    return max(1, math.ceil(length_px / downsample - 1e-6))


def _edges(origin: int, side: float, length: int) -> NDArray[np.int64]:
    first = math.floor(-origin / side) - 1
    last = math.ceil((length - origin) / side) + 1
    lines = origin + np.floor(np.arange(first, last + 1) * side + 0.5).astype(np.int64)
    inside = lines[(lines > 0) & (lines < length)]
    return np.concatenate([[0], inside, [length]]).astype(np.int64)


def blocks_of(x_px: ArrayLike, y_px: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Column and row of the block of 2048 level-0 px that each level-0 point lies in."""
    x, y = np.asarray(x_px, np.float64), np.asarray(y_px, np.float64)
    return np.floor(x / BLOCK_PX).astype(np.int64), np.floor(y / BLOCK_PX).astype(np.int64)


def hilbert(block_x: ArrayLike, block_y: ArrayLike, order: int = HILBERT_ORDER) -> NDArray[np.int64]:
    """Place of each block along a Hilbert curve over 2**order x 2**order blocks: near places are near blocks."""
    x, y = np.array(block_x, np.int64), np.array(block_y, np.int64)
    side = 1 << order
    if x.size and (min(x.min(), y.min()) < 0 or max(x.max(), y.max()) >= side):
        raise InvalidArgument(f"blocks must lie in 0 to {side - 1}")
    place = np.zeros_like(x)
    half = side >> 1
    while half:
        right, lower = (x & half) > 0, (y & half) > 0
        place += half * half * ((3 * right) ^ lower)
        x, y = _turned(x, y, right, lower, side)
        half >>= 1
    return place


def _turned(
    x: NDArray[np.int64], y: NDArray[np.int64], right: NDArray[np.bool_], lower: NDArray[np.bool_], side: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    mirrored = ~lower & right
    x, y = np.where(mirrored, side - 1 - x, x), np.where(mirrored, side - 1 - y, y)
    return np.where(lower, x, y), np.where(lower, y, x)
