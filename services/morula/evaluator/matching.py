"""Which cells a truth of points, outlines and regions speaks of.

A point means the cell whose outline it lies in; an outline the cell that it overlaps enough; what fits none, the
nearest cell within reach. A region means every cell whose centroid lies in it, but for those that a point or outline
means; of regions that overlap, the smallest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from morula.common.compute import Checkpoint, go_on
from morula.common.errors import TooLarge
from morula.evaluator.cells import Flags, Floats, Ints

LEAST_OVERLAP = 0.5
"""Intersection over union from which on an outline is the same cell's: at most one cell has more than half."""
LARGEST_UM = 40.0
"""So far from a point its cell's centroid is looked for."""
NOBODY = -1
PAIRS_AT_ONCE = 2_000_000
PAIRS_LIMIT = 200_000_000
"""Of shapes and cells near them, on one slide: minutes. Whoever means cells has a few for each."""
KEPT_LIMIT = 20_000_000
"""Of pairs that may be, on one slide: half a gigabyte."""
GRID = 512
STRIP_PX = 2048
LOOK_EVERY = 1 << 16
"""Pairs between two looks at whether anybody still waits."""
HOWS = ("outline", "overlap", "centroid", "region")

Shapes = NDArray[Any]


@dataclass(frozen=True)
class Slide:
    """The cells of a slide, in level-0 px."""

    x_px: Floats
    y_px: Floats
    mpp: float
    outlines: Callable[[Ints], Shapes]
    """Polygons of these rows."""


@dataclass(frozen=True)
class Pairs:
    """Which shape means which cell: a row for each pair."""

    shape: Ints
    row: Ints
    how: Ints
    """Index into HOWS."""

    @classmethod
    def of(cls, shape: Ints, row: Ints, how: str) -> Pairs:
        return cls(shape, row, np.full(len(shape), HOWS.index(how), np.int64))

    @classmethod
    def join(cls, parts: Iterable[Pairs]) -> Pairs:
        listed = list(parts)
        return cls(*(np.concatenate([getattr(part, name) for part in listed]) for name in ("shape", "row", "how")))


@dataclass(frozen=True)
class _Candidates:
    """Pairs that may be, with how well they fit: a row for each. Smaller is better."""

    shape: Ints
    row: Ints
    fit: Floats

    def take(self, chosen: Flags | Ints) -> _Candidates:
        return _Candidates(self.shape[chosen], self.row[chosen], self.fit[chosen])

    @classmethod
    def join(cls, parts: Iterable[_Candidates]) -> _Candidates:
        listed = [cls(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)), *parts]
        return cls(*(np.concatenate([getattr(part, name) for part in listed]) for name in ("shape", "row", "fit")))


def match(
    slide: Slide,
    shapes: Shapes,
    is_region: Flags,
    reach_um: float,
    checkpoint: Checkpoint = go_on,
    pairs_at_once: int = PAIRS_AT_ONCE,
) -> Pairs:
    """The cells that these shapes mean, by number of the shape."""
    shapely.prepare(shapes)
    found: dict[str, list[_Candidates]] = {how: [] for how in HOWS[:3]}
    regions, kept = _Smallest(len(slide.x_px)), 0
    for shape, row in _near(slide, shapes, reach_um / slide.mpp, pairs_at_once):
        checkpoint()
        single = ~is_region[shape]
        for how, candidates in _singles(slide, shapes, shape[single], row[single], reach_um / slide.mpp).items():
            found[how].append(candidates)
            kept += len(candidates.shape)
        if kept > KEPT_LIMIT:
            raise TooLarge(
                f"the points and outlines of the truth mean more than {KEPT_LIMIT:,} cells of a slide, one or the "
                "other: let them reach less far, or leave out those that lie on each other"
            )
        regions.add(_in_regions(slide, shapes, shape[~single], row[~single]))
    outline, overlap, centroid = (_Candidates.join(each) for each in found.values())
    same = Pairs.of(*_closest(overlap, checkpoint), "overlap")
    alike = Pairs.join([Pairs.of(*_best(outline, outline.shape), "outline"), same])
    left = ~np.isin(centroid.shape, alike.shape) & ~np.isin(centroid.row, alike.row)
    known = Pairs.join([alike, Pairs.of(*_closest(centroid.take(left), checkpoint), "centroid")])
    return Pairs.join([known, regions.without(known.row)])


def _near(slide: Slide, shapes: Shapes, reach_px: float, at_once: int) -> Iterator[tuple[Ints, Ints]]:
    """Pairs of shapes and cells that may belong together, about so many at once."""
    if not len(slide.x_px) or not len(shapes):
        return
    bounds = shapely.bounds(shapes)
    is_point = shapely.get_type_id(shapes) == shapely.GeometryType.POINT
    # A cell that an outline overlaps by half has its centroid no farther from it than the outline is wide.
    sides = np.maximum(bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1])
    around = np.maximum(np.where(is_point, LARGEST_UM / slide.mpp, sides), reach_px)[:, None]
    low, high = bounds[:, :2] - around, bounds[:, 2:] + around
    counts = _count_about(slide, low, high)
    if counts.sum() > PAIRS_LIMIT:
        raise TooLarge(
            f"the shapes of the truth lie around the cells of a slide {counts.sum():,.0f} times in all, more than "
            f"{PAIRS_LIMIT:,}: leave out those that lie on each other"
        )
    tree = shapely.STRtree(shapely.points(slide.x_px, slide.y_px))
    # Neighbours together, so that few cells are looked at twice.
    order = np.lexsort((low[:, 0], low[:, 1] // STRIP_PX))
    part = np.cumsum(counts[order]) // at_once
    for chosen in np.split(order, np.flatnonzero(np.diff(part)) + 1):
        shape, row = tree.query(shapely.box(*low[chosen].T, *high[chosen].T))
        yield chosen[shape], row.astype(np.int64)


def _count_about(slide: Slide, low: Floats, high: Floats) -> Floats:
    """How many cells lie in each of these boxes, and not more than a square of a grid around them."""
    edges = [np.linspace(axis.min(), axis.max() + 1, GRID + 1) for axis in (slide.x_px, slide.y_px)]
    table = np.histogram2d(slide.x_px, slide.y_px, edges)[0]
    sums = np.pad(table.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    x0, y0 = (np.clip(np.searchsorted(edges[n], low[:, n]) - 1, 0, GRID) for n in (0, 1))
    x1, y1 = (np.clip(np.searchsorted(edges[n], high[:, n]), 0, GRID) for n in (0, 1))
    counts: Floats = sums[x1, y1] - sums[x0, y1] - sums[x1, y0] + sums[x0, y0]
    return counts


def _singles(slide: Slide, shapes: Shapes, shape: Ints, row: Ints, reach_px: float) -> dict[str, _Candidates]:
    """Points and outlines: each means one cell at most."""
    outlines = _outlines_of(slide, row)
    points = shapely.get_type_id(shapes[shape]) == shapely.GeometryType.POINT
    inside = points.copy()
    inside[points] = shapely.covers(outlines[points], shapes[shape[points]])
    overlap = np.zeros(len(shape))
    overlap[~points] = _overlap(shapes[shape[~points]], outlines[~points])
    centres = shapely.centroid(shapes[shape])
    away = np.hypot(slide.x_px[row] - shapely.get_x(centres), slide.y_px[row] - shapely.get_y(centres))
    return {
        "outline": _Candidates(shape, row, shapely.area(outlines)).take(inside),
        "overlap": _Candidates(shape, row, -overlap).take(overlap >= LEAST_OVERLAP),
        "centroid": _Candidates(shape, row, away).take(away <= reach_px),
    }


def _in_regions(slide: Slide, shapes: Shapes, shape: Ints, row: Ints) -> _Candidates:
    inside = shapely.intersects_xy(shapes[shape], slide.x_px[row], slide.y_px[row])
    return _Candidates(shape, row, shapely.area(shapes[shape])).take(inside)


class _Smallest:
    """The smallest region that each cell lies in, of all that were added; of equal ones the first."""

    def __init__(self, cell_count: int) -> None:
        self._shape = np.full(cell_count, NOBODY, np.int64)
        self._area = np.full(cell_count, np.inf)

    def add(self, inside: _Candidates) -> None:
        best = inside.take(_firsts(inside, inside.row))
        before = self._area[best.row]
        better = best.take((best.fit < before) | ((best.fit == before) & (best.shape < self._shape[best.row])))
        self._shape[better.row], self._area[better.row] = better.shape, better.fit

    def without(self, rows: Ints) -> Pairs:
        """Pairs of all cells but these."""
        self._shape[rows] = NOBODY
        held = np.flatnonzero(self._shape != NOBODY)
        return Pairs.of(self._shape[held], held, "region")


def _outlines_of(slide: Slide, row: Ints) -> Shapes:
    rows, place = np.unique(row, return_inverse=True)
    outlines: Shapes = slide.outlines(rows)[place]
    return outlines


def _best(candidates: _Candidates, of: Ints) -> tuple[Ints, Ints]:
    """Of each shape, or of each row, the pair that fits best."""
    firsts = _firsts(candidates, of)
    return candidates.shape[firsts], candidates.row[firsts]


def _firsts(candidates: _Candidates, of: Ints) -> Ints:
    order = np.lexsort((candidates.row, candidates.shape, candidates.fit, of))
    return np.asarray(order[np.unique(of[order], return_index=True)[1]])


def _overlap(first: Shapes, second: Shapes) -> Floats:
    """Intersection over union."""
    shared = shapely.area(shapely.intersection(first, second))
    union = shapely.area(first) + shapely.area(second) - shared
    overlap: Floats = np.divide(shared, union, out=np.zeros(len(shared)), where=union > 0)
    return overlap


def _closest(candidates: _Candidates, checkpoint: Checkpoint) -> tuple[Ints, Ints]:
    """One to one, the best pairs first."""
    shape, row = candidates.shape, candidates.row
    shapes: set[int] = set()
    rows: set[int] = set()
    kept = []
    for number, pair in enumerate(np.lexsort((row, shape, candidates.fit)).tolist()):
        if number % LOOK_EVERY == 0:
            checkpoint()
        if shape[pair] not in shapes and row[pair] not in rows:
            shapes.add(int(shape[pair]))
            rows.add(int(row[pair]))
            kept.append(pair)
    chosen = np.array(kept, np.int64)
    return shape[chosen], row[chosen]
