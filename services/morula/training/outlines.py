"""Labels from outlines: GeoJSON as Morula and QuPath export it, in px of the image or at level 0 of a slide."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from skimage.draw import polygon as pixels_in

from morula.common.errors import InvalidArgument
from morula.tiler.readers import open_slide

NOT_A_CELL = "not a cell"
FIELD_PX = 512
_LEAST_OBJECTS = 5


def read_outlines(content: bytes, name: str) -> NDArray[np.object_]:
    """Polygons of all objects but those that somebody named "not a cell"."""
    try:
        features = json.loads(content)["features"]
        shapes = [shapely.geometry.shape(one["geometry"]) for one in features if not _is_no_cell(one)]
    except (ValueError, KeyError, TypeError, AttributeError, shapely.errors.ShapelyError) as error:
        raise InvalidArgument(f"{name} is no GeoJSON collection of outlines: {error}") from error
    parts = shapely.get_parts(np.array(shapes, object))
    return np.asarray(parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON], object)


def drawn(polygons: NDArray[np.object_], height: int, width: int) -> NDArray[np.int32]:
    """Labels 1..n: pixels whose centre is inside; a later outline covers an earlier one."""
    labels = np.zeros((height, width), np.int32)
    for number, one in enumerate(polygons, 1):
        x, y = shapely.get_coordinates(one.exterior).T - 0.5
        rows, columns = pixels_in(y, x, labels.shape)  # type: ignore[no-untyped-call]
        labels[rows, columns] = number
    return labels


def fields_of(slide: Path, outlines: Path, mpp: float) -> Iterator[tuple[str, NDArray[np.uint8], NDArray[np.int32]]]:
    """Squares of a slide at so many um per px in which there are objects, with their labels.

    All of a square is taken as looked at: what is not outlined there is learned as no object.
    """
    polygons = read_outlines(outlines.read_bytes(), outlines.name)
    with open_slide(slide) as opened:
        if not opened.scale.mpp:
            raise InvalidArgument(f"{slide.name} does not say how large its pixels are")
        downsample = mpp / opened.scale.mpp
        side = FIELD_PX * downsample
        middles = shapely.get_coordinates(shapely.centroid(polygons))
        places, counts = np.unique((middles // side).astype(int), axis=0, return_counts=True)
        tree = shapely.STRtree(polygons)
        for (column, row), count in zip(places.tolist(), counts.tolist(), strict=True):
            if count < _LEAST_OBJECTS:
                continue
            x, y = column * side, row * side
            inside = polygons[np.sort(tree.query(shapely.box(x, y, x + side, y + side)))]
            moved = shapely.transform(inside, lambda xy, at=(x, y): (xy - at) / downsample)
            pixels = opened.read_scaled(x, y, downsample, FIELD_PX, FIELD_PX)
            yield f"{slide.stem}-{column}-{row}", pixels, drawn(moved, FIELD_PX, FIELD_PX)


def _is_no_cell(feature: dict[str, object]) -> bool:
    properties = feature.get("properties") or {}
    named = properties.get("classification") if isinstance(properties, dict) else None
    return isinstance(named, dict) and str(named.get("name", "")).lower() == NOT_A_CELL
