"""Which cells a truth of points, outlines and regions speaks of.

A point means the cell whose outline it lies in; an outline the cell that it overlaps enough; what fits none, the
nearest cell within reach. A region means every cell whose centroid lies in it, but for those that a point or outline
means; of regions that overlap, the smallest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from morula.common.compute import Checkpoint, go_on
from morula.evaluator.cells import Flags, Floats, Ints

LEAST_OVERLAP = 0.5
"""Intersection over union from which on an outline is the same cell's: at most one cell has more than half."""
LARGEST_UM = 40.0
"""So far from a point its cell's centroid is looked for."""
NOBODY = -1
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


def match(slide: Slide, shapes: Shapes, is_region: Flags, reach_um: float, checkpoint: Checkpoint = go_on) -> Pairs:
    """The cells that these shapes mean, by number of the shape."""
    reach_px = reach_um / slide.mpp
    shape, row = _near(slide, shapes, reach_px)
    checkpoint()
    single = ~is_region[shape]
    pairs = _singles(slide, shapes, shape[single], row[single], reach_px)
    checkpoint()
    regions = _regions(slide, shapes, shape[~single], row[~single], taken=pairs.row)
    return Pairs.join([pairs, regions])


def _near(slide: Slide, shapes: Shapes, reach_px: float) -> tuple[Ints, Ints]:
    """Pairs of shapes and cells that may belong together."""
    bounds = shapely.bounds(shapes)
    is_point = shapely.get_type_id(shapes) == shapely.GeometryType.POINT
    # A cell that an outline overlaps by half has its centroid no farther from it than the outline is wide.
    sides = np.maximum(bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1])
    around = np.maximum(np.where(is_point, LARGEST_UM / slide.mpp, sides), reach_px)
    boxes = shapely.box(*(bounds[:, :2] - around[:, None]).T, *(bounds[:, 2:] + around[:, None]).T)
    shape, row = shapely.STRtree(shapely.points(slide.x_px, slide.y_px)).query(boxes)
    return shape.astype(np.int64), row.astype(np.int64)


def _singles(slide: Slide, shapes: Shapes, shape: Ints, row: Ints, reach_px: float) -> Pairs:
    """Points and outlines: each means one cell at most."""
    outlines = _outlines_of(slide, row)
    points = shapely.get_type_id(shapes[shape]) == shapely.GeometryType.POINT
    inside = _innermost(outlines[points], shapes, shape[points], row[points])
    overlap = np.zeros(len(shape))
    overlap[~points] = _overlap(shapes[shape[~points]], outlines[~points])
    enough = overlap >= LEAST_OVERLAP
    alike = _closest(-overlap[enough], shape[enough], row[enough])
    known = Pairs.join([Pairs.of(*inside, "outline"), Pairs.of(*alike, "overlap")])

    centres = shapely.centroid(shapes[shape])
    away = np.hypot(slide.x_px[row] - shapely.get_x(centres), slide.y_px[row] - shapely.get_y(centres))
    left = (away <= reach_px) & ~np.isin(shape, known.shape) & ~np.isin(row, known.row)
    near = _closest(away[left], shape[left], row[left])
    return Pairs.join([known, Pairs.of(*near, "centroid")])


def _outlines_of(slide: Slide, row: Ints) -> Shapes:
    rows, place = np.unique(row, return_inverse=True)
    outlines: Shapes = slide.outlines(rows)[place]
    return outlines


def _innermost(outlines: Shapes, shapes: Shapes, shape: Ints, row: Ints) -> tuple[Ints, Ints]:
    """Of the cells that a point lies in, the smallest; several points may lie in one."""
    inside = np.flatnonzero(shapely.covers(outlines, shapes[shape]))
    order = inside[np.lexsort((row[inside], shapely.area(outlines[inside]), shape[inside]))]
    _, firsts = np.unique(shape[order], return_index=True)
    return shape[order[firsts]], row[order[firsts]]


def _overlap(first: Shapes, second: Shapes) -> Floats:
    """Intersection over union."""
    shared = shapely.area(shapely.intersection(first, second))
    union = shapely.area(first) + shapely.area(second) - shared
    overlap: Floats = np.divide(shared, union, out=np.zeros(len(shared)), where=union > 0)
    return overlap


def _closest(distance: Floats, shape: Ints, row: Ints) -> tuple[Ints, Ints]:
    """One to one, the closest pairs first."""
    shapes: set[int] = set()
    rows: set[int] = set()
    kept = []
    for pair in np.lexsort((row, shape, distance)).tolist():
        if shape[pair] not in shapes and row[pair] not in rows:
            shapes.add(int(shape[pair]))
            rows.add(int(row[pair]))
            kept.append(pair)
    chosen = np.array(kept, np.int64)
    return shape[chosen], row[chosen]


def _regions(slide: Slide, shapes: Shapes, shape: Ints, row: Ints, taken: Ints) -> Pairs:
    """Every cell in a region, once."""
    inside = shapely.intersects_xy(shapes[shape], slide.x_px[row], slide.y_px[row]) & ~np.isin(row, taken)
    shape, row = shape[inside], row[inside]
    order = np.lexsort((shape, shapely.area(shapes[shape]), row))
    _, firsts = np.unique(row[order], return_index=True)
    return Pairs.of(shape[order[firsts]], row[order[firsts]], "region")
