"""Regions that a person drew: GeoJSON polygons at level 0, and which points of a lattice lie in them."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from morula.common.errors import InvalidArgument

Floats = npt.NDArray[np.float64]
Ring = Floats
Polygon = list[Ring]

MAX_POINTS = 200_000
MAX_TEXT_BYTES = 16 << 20


def read_polygons(text: str) -> list[Polygon]:
    """All polygons of a GeoJSON text, each as its outer ring and its holes; InvalidArgument where it is none."""
    if len(text) > MAX_TEXT_BYTES:
        raise InvalidArgument(f"regions of {len(text)} bytes are too many; {MAX_TEXT_BYTES} are read")
    try:
        polygons = [[_ring(ring) for ring in rings] for rings in _rings_of(json.loads(text))]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InvalidArgument("regions must be GeoJSON with polygons in level-0 pixels") from error
    if not polygons:
        raise InvalidArgument("the regions hold no polygon")
    if sum(len(ring) for rings in polygons for ring in rings) > MAX_POINTS:
        raise InvalidArgument(f"regions have more than {MAX_POINTS} points")
    return polygons


def _rings_of(value: Any) -> Iterator[list[Any]]:
    """Coordinates of every polygon in a GeoJSON object, however it is wrapped; points and lines enclose nothing."""
    kind = value["type"]
    if kind == "Polygon":
        yield value["coordinates"]
    elif kind == "MultiPolygon":
        yield from value["coordinates"]
    elif kind == "Feature":
        yield from _rings_of(value["geometry"])
    elif kind in ("FeatureCollection", "GeometryCollection"):
        for part in value["features" if kind == "FeatureCollection" else "geometries"]:
            yield from _rings_of(part)
    else:
        raise InvalidArgument(f"regions must be polygons, not {str(kind)[:40]}")


def _ring(points: list[Any]) -> Ring:
    ring = np.array([(float(point[0]), float(point[1])) for point in points], np.float64)
    if len(ring) < 3 or not np.isfinite(ring).all():
        raise ValueError("a ring has three points and more, all of them finite")
    return ring


def lattice_inside(polygons: list[Polygon], x: Floats, y: Floats) -> npt.NDArray[np.bool_]:
    """Which points (x[i], y[j]) lie in any of the polygons, row by row; `x` and `y` ascend."""
    inside = np.zeros((len(y), len(x)), bool)
    for rings in polygons:
        starts = np.concatenate(rings)
        stops = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
        low, high = starts[:, 1].min(), starts[:, 1].max()
        for row in range(*np.searchsorted(y, [low, high])):
            crossings = _crossings(starts, stops, float(y[row]))
            # A point is inside where an odd number of edges lies to its left.
            inside[row] |= np.searchsorted(crossings, x, side="right") % 2 == 1
    return inside


def _crossings(starts: Floats, stops: Floats, y: float) -> Floats:
    """Where a horizontal line crosses the edges, ascending."""
    crossed = (starts[:, 1] <= y) != (stops[:, 1] <= y)
    (x0, y0), (x1, y1) = starts[crossed].T, stops[crossed].T
    return np.asarray(np.sort(x0 + (y - y0) * (x1 - x0) / (y1 - y0)))
