"""From pixels to the cells of a shard: outlines, owners, seams and states. Which model looks is a parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from morula.common.compute import Checkpoint, go_on
from morula.common.formats import CELLS_SCHEMA, NETWORK_FEATURES, NETWORK_STYLE
from morula.common.geometry import Grid
from morula.common.pixels import Region
from morula.segmenter.instances import Model, Wanted
from morula.segmenter.outlines import Outlines, outline

# Two regions see a cell at their seam a little differently; so near to it both report the cell, and settling chooses.
SEAM_PX = 3
CELLS_COLUMNS = CELLS_SCHEMA.names
Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Layout:
    """The slide's tiles, the squares of `side` tiles that are regions, and which tiles of each region were kept.

    `halo_px` is the plan's: a region that was cut again has more around it. With `keeps_rejected` cells of tiles that
    were not kept are reported, too, where the halo of kept ones shows them whole.
    """

    grid: Grid
    side: int
    kept: Mapping[int, NDArray[np.int64]]
    halo_px: int
    keeps_rejected: bool = False


def segment_region(
    region: Region, layout: Layout, model: Model, wanted: Wanted, checkpoint: Checkpoint = go_on
) -> Columns:
    """Columns of the table of cells, places in level-0 px: the cells that this region's kept tiles own, and candidates
    at its seams."""
    cells = outline(model(region.pixels, region.mpp, replace(wanted, is_part=True), checkpoint))
    origin = np.array([region.x_px, region.y_px])
    x, y = (origin + cells.centroids * region.downsample).T
    tile, seam, written = _owners(x, y, region, layout)
    if layout.keeps_rejected:
        written |= _rejected(cells.polygons, tile, region, layout)
    crossing = _crossing(cells.polygons, region, layout) & (tile >= 0)
    rows = np.flatnonzero(written | crossing)
    rows = rows[np.lexsort((x[rows], y[rows], tile[rows]))]
    working = shapely.bounds(cells.polygons[rows])
    boxes = working * region.downsample + np.tile(origin, 2)
    level_0 = shapely.transform(cells.polygons[rows], lambda xy: origin + xy * region.downsample)
    return {
        "x_px": x[rows],
        "y_px": y[rows],
        **dict(zip(("x_min_px", "y_min_px", "x_max_px", "y_max_px"), boxes.T, strict=True)),
        "geometry": shapely.to_wkb(level_0),
        "score": cells.scores[rows],
        "state": _states(working, boxes, region, layout.grid),
        "tile": tile[rows],
        "region": np.full(rows.size, region.index),
        "seam": (seam | crossing)[rows],
        "area_um2": cells.areas_px[rows] * region.mpp**2,
        **_seen(cells, rows),
        **{name: values[rows] for name, values in cells.columns.items()},
    }


def _seen(cells: Outlines, rows: NDArray[np.int64]) -> Columns:
    """What the network saw of each cell, and of its region."""
    if cells.features is None:
        return {}
    style = np.broadcast_to(cells.style.astype(np.float16), (rows.size, cells.style.size))
    return {NETWORK_FEATURES: cells.features[rows], NETWORK_STYLE: style}


def join(parts: Sequence[Columns]) -> Columns:
    """One table of the regions' tables, by region."""
    if not parts:
        return {name: np.empty(0, object) for name in CELLS_COLUMNS}
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def median_diameter_um(diameters_um: Sequence[NDArray[np.float64]]) -> tuple[float, int]:
    """Median, and of how many; 0 where there is none."""
    diameters = np.concatenate([np.empty(0), *diameters_um])
    return (float(np.median(diameters)), diameters.size) if diameters.size else (0.0, 0)


def _owners(
    x: NDArray[np.float64], y: NDArray[np.float64], region: Region, layout: Layout
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Tile of each centroid, whether it is at a seam, and whether this region reports it."""
    reach = SEAM_PX * region.downsample
    steps = [(n, m) for n in (0, -1, 1, -2, 2) for m in (0, -1, 1, -2, 2)]
    around = np.stack([layout.grid.tiles_at(x + n * reach, y + m * reach) for n, m in steps])
    is_near = np.array([max(abs(n), abs(m)) <= 1 for n, m in steps])
    kept = np.isin(around, layout.kept[region.index])
    squares = layout.grid.regions_of(around, layout.side)
    tile, mine = around[0], squares[0] == layout.grid.regions_of(layout.kept[region.index][:1], layout.side)
    # Twice the distance at which both regions report a cell: its owner may see it farther from the seam.
    at_seam = ((squares != squares[0]) & (around >= 0)).any(axis=0) & (tile >= 0)
    written = np.where(mine, kept[0], (tile >= 0) & kept[is_near].any(axis=0))
    return tile, at_seam, written


def _crossing(polygons: NDArray[np.object_], region: Region, layout: Layout) -> NDArray[np.bool_]:
    """Cells that reach through the plan's halo, and within the region's kept tiles farther than it is wide.

    Every region that one goes through reports it: the one in which its centroid lies may see less of it than others.
    """
    height, width = region.pixels.shape[:2]
    more = region.halo_px - layout.halo_px
    bounds = shapely.bounds(polygons).reshape(-1, 4)
    crossing: NDArray[np.bool_] = (bounds[:, :2] <= more).any(axis=1)
    crossing |= (bounds[:, 2:] >= (width - more, height - more)).any(axis=1)
    if crossing.any():
        kept = _kept_area(region, layout, 0)
        x_min, y_min, x_max, y_max = shapely.bounds(shapely.intersection(polygons[crossing], kept)).T
        # Bounds of an empty polygon are NaN, for which the comparison is false.
        crossing[crossing] = np.maximum(x_max - x_min, y_max - y_min) > layout.halo_px
    return crossing


def _rejected(
    polygons: NDArray[np.object_], tile: NDArray[np.int64], region: Region, layout: Layout
) -> NDArray[np.bool_]:
    """Cells of this region's tiles that were not kept, where the halo of kept ones shows them whole."""
    kept = layout.kept[region.index]
    square = layout.grid.regions_of(kept[:1], layout.side)
    is_rejected: NDArray[np.bool_] = (tile >= 0) & ~np.isin(tile, kept)
    is_rejected &= layout.grid.regions_of(tile, layout.side) == square
    is_rejected[is_rejected] = shapely.contains_properly(
        _kept_area(region, layout, layout.halo_px), polygons[is_rejected]
    )
    return is_rejected


def _kept_area(region: Region, layout: Layout, around_px: int) -> shapely.Geometry:
    """The region's kept tiles and so much around each, in the region's px."""
    boxes = [layout.grid.core(tile) for tile in layout.kept[region.index].tolist()]
    edges = np.array([(box.x_px, box.y_px, box.x_stop_px, box.y_stop_px) for box in boxes])
    origin, around = np.array([region.x_px, region.y_px] * 2), np.array([-1, -1, 1, 1]) * around_px
    return shapely.union_all(shapely.box(*((edges - origin) / region.downsample + around).T))


def _states(working: NDArray[np.float64], boxes: NDArray[np.float64], region: Region, grid: Grid) -> NDArray[np.str_]:
    """A cell that the region's frame cuts is truncated, unless it is the slide that ends there."""
    height, width = region.pixels.shape[:2]
    at_frame = np.concatenate([working[:, :2] <= 0, working[:, 2:] >= (width, height)], axis=1)
    # The slide need not end on a working px.
    pixel = region.downsample
    at_slide_edge = np.concatenate(
        [boxes[:, :2] < pixel, boxes[:, 2:] > np.array([grid.width_px, grid.height_px]) - pixel], axis=1
    )
    cut = (at_frame & ~at_slide_edge).any(axis=1)
    return np.where(cut, "truncated", np.where(at_slide_edge.any(axis=1), "slide_edge", "whole"))
