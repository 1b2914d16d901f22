"""How a slide is cut: working scale, windows of source pixels, tiles into regions, regions into shards. Arrays only."""

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from morula.common.errors import InvalidArgument, SlideUnreadable
from morula.common.geometry import Box, Grid, hilbert
from morula.common.pixels import MAX_REGION_PX
from morula.tiler.slide import Level, Pixels, blank

LEVEL_TOLERANCE = 0.05
MIN_UNIT_PX = 32
MAX_TILE_COUNT = 4_000_000
SOURCE_BLOCK_PX = 4096  # Side, in source pixels, of what is read at once: 48 MiB.

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Lines = Sequence[int]
WindowBox = tuple[int, int, int, int]  # x, y, width, height in working pixels, from a window's corner


@dataclass(frozen=True)
class WorkingScale:
    """Which level is read, and how it becomes working pixels.

    `unit_px` working pixels are made of exactly `source_px` pixels of the level. Resampling in whole units that are
    counted from the grid's corner gives every working pixel one value, whichever region it is read for.
    """

    level: int
    level_downsample: float
    unit_px: int
    source_px: int

    @property
    def step(self) -> float:
        """Level pixels per working pixel."""
        return self.source_px / self.unit_px

    @property
    def downsample(self) -> float:
        """Level-0 pixels per working pixel."""
        return self.level_downsample * self.step


def choose_scale(levels: Sequence[Level], slide_mpp: float, target_mpp: float, tile_px: int) -> WorkingScale:
    """A level within 5 % of the target as it is, else the next finer one, resampled; the true scale follows from it.

    Resampling is to a whole number of source pixels per unit, which moves the scale by less than 2 %.
    """
    mpps = [slide_mpp * level.downsample for level in levels]
    nearest = min(range(len(levels)), key=lambda i: abs(mpps[i] / target_mpp - 1))
    if abs(mpps[nearest] / target_mpp - 1) <= LEVEL_TOLERANCE:
        return WorkingScale(nearest, levels[nearest].downsample, 1, 1)
    finer = [i for i in range(len(levels)) if mpps[i] < target_mpp]
    level = max(finer, key=lambda i: mpps[i], default=0)
    unit_px = next(unit for unit in range(min(MIN_UNIT_PX, tile_px), tile_px + 1) if tile_px % unit == 0)
    source_px = max(1, round(unit_px * target_mpp / mpps[level]))
    return WorkingScale(level, levels[level].downsample, unit_px, source_px)


def make_grid(
    scale: WorkingScale, slide_mpp: float, size_px: tuple[int, int], tile_px: int, origin_px: tuple[int, int]
) -> Grid:
    grid = Grid(
        origin_x_px=origin_px[0],
        origin_y_px=origin_px[1],
        tile_px=tile_px,
        mpp=slide_mpp * scale.downsample,
        slide_mpp=slide_mpp,
        width_px=size_px[0],
        height_px=size_px[1],
    )
    # Counted before any edge is listed: a tile of one pixel on a large slide must not fill the memory.
    expected = (size_px[0] / grid.side_px + 2) * (size_px[1] / grid.side_px + 2)
    if expected > MAX_TILE_COUNT:
        raise InvalidArgument(f"tiles of {tile_px} px would be about {expected:.0f}, more than {MAX_TILE_COUNT}")
    return grid


@dataclass(frozen=True)
class Grouping:
    """Region and shard of every tile, -1 where the tile is no candidate."""

    region: npt.NDArray[np.int32]
    shard: npt.NDArray[np.int32]
    shard_count: int


def region_side(region_tile_count: int, shard_tile_count: int, tile_px: int, halo_px: int) -> int:
    """Tiles along a region: no more than asked, than a shard can hold and than one picture can be."""
    largest = (MAX_REGION_PX - 2 * halo_px) // tile_px
    if largest < 1:
        raise InvalidArgument(f"tiles of {tile_px} px with a halo of {halo_px} exceed {MAX_REGION_PX} px")
    return max(1, min(region_tile_count, math.isqrt(shard_tile_count), largest))


def group_tiles(grid: Grid, candidates: Flags, side: int, shard_tile_count: int) -> Grouping:
    """Squares of `side` tiles, numbered along a Hilbert curve; a shard takes regions until it is full."""
    region = np.full(grid.tile_count, -1, np.int32)
    shard = np.full(grid.tile_count, -1, np.int32)
    tiles = np.flatnonzero(candidates)
    squares, member, sizes = np.unique(grid.regions_of(tiles, side), return_inverse=True, return_counts=True)
    line, place = np.divmod(squares, grid.region_columns(side))
    order = np.argsort(hilbert(place, line), kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    shards = _fill(sizes[order], shard_tile_count)
    region[tiles] = rank[member]
    shard[tiles] = shards[rank[member]]
    return Grouping(region, shard, int(shards[-1]) + 1 if len(shards) else 0)


def _fill(sizes: Numbers, capacity: int) -> npt.NDArray[np.int32]:
    """The shard of each region, in order: the next shard begins where a region no longer fits."""
    shards, shard, held = [], 0, 0
    for size in map(int, sizes):
        if held and held + size > capacity:
            shard, held = shard + 1, 0
        shards.append(shard)
        held += size
    return np.array(shards, np.int32)


@dataclass(frozen=True)
class SourceWindow:
    """A rectangle of working pixels and where it lies: (u, v) counted from the grid's corner."""

    scale: WorkingScale
    origin_x: int
    origin_y: int
    u: int
    v: int
    width: int
    height: int

    @property
    def x_px(self) -> float:
        """Level-0 x of the left edge."""
        return (self.origin_x + self.u * self.scale.step) * self.scale.level_downsample

    @property
    def y_px(self) -> float:
        """Level-0 y of the upper edge."""
        return (self.origin_y + self.v * self.scale.step) * self.scale.level_downsample

    def inner(self, u: int, v: int, width: int, height: int) -> "SourceWindow":
        """A part of it, (u, v) counted from its own corner."""
        return SourceWindow(self.scale, self.origin_x, self.origin_y, self.u + u, self.v + v, width, height)

    def of_box(self, box: Box) -> "SourceWindow":
        """The part of it that is a level-0 box."""
        rows, columns = self.place(box)
        height, width = min(rows.stop, self.height) - rows.start, min(columns.stop, self.width) - columns.start
        return self.inner(columns.start, rows.start, width, height)

    def place(self, box: Box) -> tuple[slice, slice]:
        """Rows and columns of a level-0 box, in working pixels from the window's corner."""
        downsample = self.scale.downsample
        left, right = ((edge - self.x_px) / downsample for edge in (box.x_px, box.x_stop_px))
        top, bottom = ((edge - self.y_px) / downsample for edge in (box.y_px, box.y_stop_px))
        columns = slice(max(0, round(left)), max(round(left) + 1, round(right)))
        return slice(max(0, round(top)), max(round(top) + 1, round(bottom))), columns

    def around(self, box: Box, halo_px: int) -> WindowBox:
        """A level-0 box and its halo as a place in the window's pixels, cut off at the window."""
        rows, columns = self.place(box)
        left, top = max(0, columns.start - halo_px), max(0, rows.start - halo_px)
        right, bottom = min(self.width, columns.stop + halo_px), min(self.height, rows.stop + halo_px)
        return left, top, right - left, bottom - top

    def source(self) -> tuple[int, int, int, int]:
        """x, y, width, height in level pixels of the whole units that cover it."""
        (left, columns), (top, rows) = self._units(self.u, self.width), self._units(self.v, self.height)
        side = self.scale.source_px
        return self.origin_x + left * side, self.origin_y + top * side, columns * side, rows * side

    def resample(self, source: Pixels) -> Pixels:
        """Working pixels from those of `source()`."""
        unit = self.scale.unit_px
        if self.scale.source_px == unit:
            return source
        (left, columns), (top, rows) = self._units(self.u, self.width), self._units(self.v, self.height)
        shrinks = self.scale.source_px > unit
        kind = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        units = np.asarray(cv2.resize(source, (columns * unit, rows * unit), interpolation=kind), np.uint8)
        u, v = self.u - left * unit, self.v - top * unit
        return units[v : v + self.height, u : u + self.width]

    def _units(self, start: int, length: int) -> tuple[int, int]:
        unit = self.scale.unit_px
        first = start // unit
        return first, -(-(start + length) // unit) - first


def window_of(box: Box, scale: WorkingScale, grid: Grid, halo_px: int) -> SourceWindow:
    """The working pixels that cover a level-0 box, and `halo_px` more on every side."""
    origin_x = round(grid.origin_x_px / scale.level_downsample)
    origin_y = round(grid.origin_y_px / scale.level_downsample)
    u, u_stop = (((edge / scale.level_downsample) - origin_x) / scale.step for edge in (box.x_px, box.x_stop_px))
    v, v_stop = (((edge / scale.level_downsample) - origin_y) / scale.step for edge in (box.y_px, box.y_stop_px))
    left, right, top, bottom = (
        _floor(u) - halo_px,
        _ceil(u_stop) + halo_px,
        _floor(v) - halo_px,
        _ceil(v_stop) + halo_px,
    )
    return SourceWindow(scale, origin_x, origin_y, left, top, right - left, bottom - top)


def _floor(position: float) -> int:
    # Level sizes are rounded, so that an edge may lie a little beside the pixel it means.
    return math.floor(position + 0.25)


def _ceil(position: float) -> int:
    return math.ceil(position - 0.25)


@dataclass(frozen=True)
class Decoded:
    """Working pixels, and the parts of them, from their own corner, that could not be read and are white."""

    pixels: Pixels
    unreadable: tuple[WindowBox, ...]

    def part(self, x: int, y: int, width: int, height: int) -> "Decoded":
        """A rectangle of it."""
        moved = tuple((left - x, top - y, wide, tall) for left, top, wide, tall in self.unreadable)
        return Decoded(self.pixels[y : y + height, x : x + width], moved)

    def is_unreadable(self, place: tuple[slice, slice]) -> bool:
        rows, columns = place
        return any(
            x < columns.stop and x + width > columns.start and y < rows.stop and y + height > rows.start
            for x, y, width, height in self.unreadable
        )


def salvage(
    size: tuple[int, int],
    read: Callable[[int, int, int, int], Pixels],
    places: Sequence[WindowBox],
    lines: tuple[Lines, Lines],
) -> Decoded:
    """Reads these places of an area; one that fails is read again in parts, split at `lines` (x, then y)."""
    if list(places) == [(0, 0, *size)]:
        with contextlib.suppress(SlideUnreadable):  # It is read again below, in parts.
            return Decoded(read(*places[0]), ())
    pixels, unreadable = blank(*size), []
    waiting = [(place, False) for place in places]
    while waiting:
        place, is_part = waiting.pop()
        x, y, width, height = place
        try:
            pixels[y : y + height, x : x + width] = read(*place)
        except SlideUnreadable:
            if is_part:
                unreadable.append(place)
            else:
                waiting += [(part, True) for part in _parts(place, *lines)]
    return Decoded(pixels, tuple(unreadable))


def blocks(size: tuple[int, int], block_px: int) -> list[WindowBox]:
    """An area in squares, from its own corner, so that what is read at once stays small."""
    return _parts((0, 0, *size), range(0, size[0], block_px), range(0, size[1], block_px))


def _parts(place: WindowBox, x_lines: Lines, y_lines: Lines) -> list[WindowBox]:
    """A rectangle cut along lines."""
    x, y, width, height = place
    columns = [x, *(line for line in x_lines if x < line < x + width), x + width]
    rows = [y, *(line for line in y_lines if y < line < y + height), y + height]
    return [(i, j, k - i, m - j) for j, m in pairwise(rows) for i, k in pairwise(columns)]


def decode(
    window: SourceWindow,
    tile_px: int,
    places: Sequence[WindowBox],
    read: Callable[[int, int, int, int, int], Pixels],
) -> Decoded:
    """The pixels of these places of a window; the rest, and tiles that cannot be read, are white."""

    def part(u: int, v: int, width: int, height: int) -> Pixels:
        inner = window.inner(u, v, width, height)
        return inner.resample(read(window.scale.level, *inner.source()))

    lines = (range(-window.u % tile_px, window.width, tile_px), range(-window.v % tile_px, window.height, tile_px))
    return salvage((window.width, window.height), part, places, lines)


def spread(tiles: Numbers, count: int) -> Numbers:
    """At most `count` of these tiles, evenly spread over their order."""
    if len(tiles) <= count:
        return tiles
    return tiles[np.linspace(0, len(tiles) - 1, count).round().astype(np.int64)]
