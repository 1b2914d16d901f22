"""From the outlines of cells to what embedders see of them: arrays in, arrays out."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from morula.common.errors import ArtifactInvalid
from morula.common.pixels import Region
from morula.common.stain import Staining
from morula.common.tables import NETWORK_FEATURES, read_halves
from morula.embedder import morphology
from morula.embedder.instances import RegionCells


def rasterise(polygons: NDArray[np.object_], shape: tuple[int, int]) -> NDArray[np.int32]:
    """Polygons on pixel edges, in working px, as labels 1..n: exactly the pixels that they were traced from.

    Along each row a left side of a cell adds its label and a right side takes it away; the running sum is the image.
    """
    rings, owner = shapely.get_rings(shapely.orient_polygons(polygons), return_index=True)
    vertices, ring = shapely.get_coordinates(rings, return_index=True)
    corners = np.rint(vertices).astype(np.int64)
    begin, end = corners[:-1], corners[1:]
    upright = (ring[:-1] == ring[1:]) & (begin[:, 0] == end[:, 0]) & (begin[:, 1] != end[:, 1])
    begin, end, label = begin[upright], end[upright], owner[ring[:-1][upright]] + 1

    length = np.abs(end[:, 1] - begin[:, 1])
    side = np.repeat(np.arange(length.size), length)
    step = np.arange(side.size) - np.repeat(np.cumsum(length) - length, length)
    row = np.minimum(begin[:, 1], end[:, 1])[side] + step
    # Exteriors are counter-clockwise where y points up; here it points down: their left sides run towards smaller y.
    signed = np.where(end[:, 1] < begin[:, 1], label, -label)[side]
    width = shape[1] + 1
    change = np.bincount(row * width + begin[side, 0], signed, minlength=shape[0] * width)
    labels: NDArray[np.int32] = np.cumsum(change.reshape(shape[0], width), axis=1)[:, :-1].astype(np.int32)
    return labels


def working_polygons(cells: pa.Table, region: Region) -> NDArray[np.object_]:
    """Outlines of a region's cells, from level 0 to its working px."""
    try:
        polygons = shapely.from_wkb(cells["geometry"].to_numpy())
    except shapely.GEOSException as error:
        raise ArtifactInvalid(f"an outline is no polygon: {str(error)[:200]}") from error
    origin = np.array([region.x_px, region.y_px])
    height, width = region.pixels.shape[:2]
    moved: NDArray[np.object_] = shapely.transform(polygons, lambda xy: np.rint((xy - origin) / region.downsample))
    x_min, y_min, x_max, y_max = shapely.total_bounds(moved)
    if x_min < 0 or y_min < 0 or x_max > width or y_max > height:
        raise ArtifactInvalid(f"cells reach beyond the pixels of their region {region.index}")
    return moved


def cells_of_region(
    region: Region, cells: pa.Table, staining: Staining
) -> tuple[NDArray[np.int64], RegionCells | None]:
    """A region's cells, measured, in the order of their table, and which rows of it they are.

    An outline that covers no pixel, such as one that was simplified to a line, is none of them.
    """
    if cells.num_rows == 0:
        return np.zeros(0, np.int64), None
    polygons = working_polygons(cells, region)
    rows = np.flatnonzero(shapely.area(polygons) > 0)
    if rows.size == 0:
        return rows, None
    labels = rasterise(polygons[rows], region.pixels.shape[:2])
    columns = morphology.measure(region.pixels, labels, polygons[rows], region.mpp, staining)
    features = read_halves(cells, NETWORK_FEATURES)[rows] if NETWORK_FEATURES in cells.column_names else None
    return rows, RegionCells(region, polygons[rows], labels, staining, columns, features)
