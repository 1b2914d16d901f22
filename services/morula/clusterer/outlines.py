"""Polygons made light for viewers: fewer vertices, the same shape."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from morula.clusterer.arrays import Doubles
from morula.common.formats import encode_outline

FAITHFUL_IOU = 0.985
"""Above the promised 0.98, because rounding to quarter pixels takes a little more."""
TOLERANCES = (0.5, 0.75, 1.0)
"""Working pixels that a vertex may lie off, from faithful to light."""


def outlines(polygons: NDArray[np.object_], x: Doubles, y: Doubles, downsample: float) -> list[NDArray[np.int16]]:
    """Exterior ring of each polygon, as light as it can be at an IoU of 0.98 or more."""
    light = simplified(polygons, downsample)
    rings = shapely.get_exterior_ring(light)
    places, owner = shapely.get_coordinates(rings, return_index=True)
    stops = np.searchsorted(owner, np.arange(len(polygons) + 1))
    # The last vertex of a ring is its first.
    return [
        encode_outline(places[stops[number] : stops[number + 1] - 1], x[number], y[number])
        for number in range(len(polygons))
    ]


def simplified(polygons: NDArray[np.object_], downsample: float) -> NDArray[np.object_]:
    """Each polygon with the largest tolerance that stays faithful; the polygon itself where none does."""
    full = np.asarray(polygons, object)
    result, area = full.copy(), shapely.area(full)
    for tolerance in TOLERANCES:
        lighter = shapely.simplify(full, tolerance * downsample, preserve_topology=True)
        shared = shapely.area(shapely.intersection(lighter, full))
        iou = shared / np.maximum(shapely.area(lighter) + area - shared, 1e-9)
        faithful = (iou >= FAITHFUL_IOU) & (shapely.get_type_id(lighter) == shapely.GeometryType.POLYGON)
        result[faithful] = lighter[faithful]
    return result
