"""Polygons made light for viewers: fewer vertices, the same shape."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from morula.clusterer.arrays import Doubles, Rows
from morula.common.formats import encode_outline

BUDGET = 0.015
"""Share of a polygon's area that simplification may add or take away in all: IoU stays above 0.98."""
FEWEST_VERTICES = 4
ROUNDS = 16


Rings = list[NDArray[np.int16]]


def outlines(polygons: NDArray[np.object_], x: Doubles, y: Doubles) -> tuple[Rings, dict[int, Rings]]:
    """Exterior ring of each polygon, as light as it can be at an IoU of 0.98 or more, and the holes of those that have
    some. Polygons and centroids are level-0 px; rings are quarters of them, from the rounded centroid."""
    full, owner = shapely.get_rings(polygons, return_index=True)
    own = shapely.area(shapely.polygons(full))
    # The area by which a polygon may change is divided among its rings.
    share = own / np.bincount(owner, own, len(polygons))[owner]
    places, number = simplified(full, BUDGET * shapely.area(polygons)[owner] * share)
    stops = np.searchsorted(number, np.arange(len(full) + 1))
    first = np.searchsorted(owner, np.arange(len(polygons) + 1))
    exteriors: Rings = []
    holes: dict[int, Rings] = {}
    for cell in range(len(polygons)):
        rings = [places[stops[ring] : stops[ring + 1]] for ring in range(first[cell], first[cell + 1])]
        if len(rings) > 1:
            rings = _apart(rings, polygons[cell])
            holes[cell] = [encode_outline(ring, x[cell], y[cell]) for ring in rings[1:]]
        exteriors.append(encode_outline(rings[0], x[cell], y[cell]))
    return exteriors, holes


def _apart(rings: list[Doubles], polygon: shapely.Polygon) -> list[Doubles]:
    """Rings that do not cross each other: across a thin wall simplified ones might, and then they stay as they were."""
    if shapely.Polygon(rings[0], rings[1:]).is_valid:
        return rings
    return [shapely.get_coordinates(ring)[:-1] for ring in (polygon.exterior, *polygon.interiors)]


def simplified(rings: NDArray[np.object_], left: Doubles) -> tuple[Doubles, Rows]:
    """Vertices of all rings, not closed, in the rings' frame, and the ring that each belongs to; `left` is the area
    that each may change by.

    In rounds, all rings at once: a vertex goes if the triangle that goes with it is the smallest around, and while
    all triangles of its ring together stay within the budget.
    """
    places, owner = shapely.get_coordinates(rings, return_index=True)
    # The last vertex of a ring is its first.
    closing = np.append(np.diff(owner) != 0, True)[: len(owner)]
    places, owner = places[~closing], owner[~closing]
    left = left.copy()
    for _ in range(ROUNDS):
        going = _going(places, owner, left)
        if not going.any():
            break
        places, owner = places[~going], owner[~going]
    return places, owner


def _going(places: Doubles, owner: Rows, left: Doubles) -> NDArray[np.bool_]:
    """Vertices that go in this round; takes their triangles off what is left of each ring's budget."""
    sizes = np.bincount(owner, minlength=len(left))
    starts = np.cumsum(sizes) - sizes
    before, after = np.arange(len(owner)) - 1, np.arange(len(owner)) + 1
    first = starts[sizes > 0]
    last = (starts + sizes - 1)[sizes > 0]
    before[first], after[last] = last, first
    a, b = places[after] - places[before], places - places[before]
    triangle = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2.0
    # Along a staircase all triangles are equal: every second vertex goes.
    rank = triangle + np.arange(len(owner)) % 2 * 1e-9
    going = (rank < rank[before]) & (rank < rank[after]) & (sizes[owner] > FEWEST_VERTICES)
    candidates = np.flatnonzero(going)
    candidates = candidates[np.lexsort((triangle[candidates], owner[candidates]))]
    total = np.cumsum(triangle[candidates])
    mine = owner[candidates]
    begins = np.searchsorted(mine, mine)
    spent = total - (total[begins] - triangle[candidates[begins]])
    number = np.arange(len(mine)) - begins
    kept = (spent > left[mine]) | (sizes[mine] - number <= FEWEST_VERTICES)
    going[candidates[kept]] = False
    gone = candidates[~kept]
    left -= np.bincount(owner[gone], weights=triangle[gone], minlength=len(left))
    return going
