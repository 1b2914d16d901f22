"""Regions that a person drew: GeoJSON polygons at level 0."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from morula.common.errors import InvalidArgument

Ring = npt.NDArray[np.float64]
Polygon = list[Ring]

MAX_POINTS = 200_000
MAX_TEXT_LENGTH = 16 << 20
# From the corner of level 0: no slide reaches farther, and beyond it sums of squares are not exact to a pixel.
FARTHEST_PX = 10**9


def read_polygons(text: str) -> list[Polygon]:
    """All polygons of a GeoJSON text, each as its outer ring and its holes; InvalidArgument where it is none."""
    if len(text) > MAX_TEXT_LENGTH:
        raise InvalidArgument(f"regions have {len(text)} characters; at most {MAX_TEXT_LENGTH} are accepted")
    try:
        polygons = [_polygon(rings) for rings in _rings_of(json.loads(text))]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, OverflowError) as error:
        raise InvalidArgument("regions must be GeoJSON with polygons in level-0 pixels") from error
    if not polygons:
        raise InvalidArgument("the regions hold no polygon")
    if sum(len(ring) for rings in polygons for ring in rings) > MAX_POINTS:
        raise InvalidArgument(f"regions have more than {MAX_POINTS} points")
    return polygons


def to_geojson(polygons: Sequence[Polygon]) -> dict[str, Any]:
    """The polygons and nothing else, so that the same regions are the same text whoever wrote them."""
    return {"type": "MultiPolygon", "coordinates": [[ring.tolist() for ring in rings] for rings in polygons]}


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


def _polygon(rings: list[Any]) -> Polygon:
    if not rings:
        raise ValueError("a polygon has an outer ring")
    return [_ring(ring) for ring in rings]


def _ring(points: list[Any]) -> Ring:
    if not all(isinstance(number, (int, float)) and not isinstance(number, bool) for p in points for number in p[:2]):
        raise TypeError("a point is two numbers")
    ring = np.array([(float(point[0]), float(point[1])) for point in points], np.float64)
    if len(ring) < 3 or not (np.abs(ring) <= FARTHEST_PX).all():
        raise ValueError("a ring has three points and more, all of them near the slide")
    return ring
