"""A whole image through regions, halos, owners and settling, without servers: what seams do to cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from morula.clusterer import settle
from morula.common.geometry import Grid
from morula.common.pixels import WHITE, Region
from morula.gateway.pipeline import params
from morula.segmenter import core
from morula.segmenter.instances import Model, Wanted

BLOCK_PX = 128
"""Cells so near to each other tend to be found or lost together."""


@dataclass(frozen=True)
class Lattice:
    """How an image is divided; the offset is where the first tile's corner lies, left and above of the image."""

    tile_px: int
    region_tiles: int
    offset_px: tuple[int, int] = (0, 0)

    def grid(self, pixels: NDArray[np.uint8], mpp: float) -> Grid:
        height, width = pixels.shape[:2]
        x, y = (-(offset % self.tile_px) for offset in self.offset_px)
        return Grid(x, y, self.tile_px, mpp=mpp, slide_mpp=mpp, width_px=width, height_px=height)


def settled_cells(
    pixels: NDArray[np.uint8], mpp: float, lattice: Lattice, model: Model, wanted: Wanted
) -> settle.Cells:
    """Cells of an image after its regions were segmented, where cells were cut off again with a halo of one tile, and
    what was seen twice was dropped."""
    grid = lattice.grid(pixels, mpp)
    tiles = np.arange(grid.tile_count)
    region_of_tile = grid.regions_of(tiles, lattice.region_tiles)
    kept = {int(region): tiles[region_of_tile == region] for region in np.unique(region_of_tile)}
    halo_px = params.halo_px(mpp)
    layout = core.Layout(grid, lattice.region_tiles, kept, halo_px)

    def segmented(regions: Iterable[int], halo_px: int) -> dict[int, core.Columns]:
        return {
            region: core.segment_region(_region(pixels, grid, region, kept[region], halo_px), layout, model, wanted)
            for region in regions
        }

    first = segmented(kept, halo_px)
    second = segmented([region for region, part in first.items() if "truncated" in part["state"]], lattice.tile_px)
    shards = [(_cells(core.join(list(cut.values())), number), cut) for number, cut in enumerate((first, second))]
    cells = settle.join(shards)
    return cells.take(np.flatnonzero(settle.resolve(cells, 1.0)))


def _region(pixels: NDArray[np.uint8], grid: Grid, index: int, tiles: NDArray[np.int64], halo_px: int) -> Region:
    cores = grid.cores()[tiles]
    left, top = (int(side) - halo_px for side in cores[:, :2].min(axis=0))
    right, bottom = (int(side) + halo_px for side in (cores[:, :2] + cores[:, 2:]).max(axis=0))
    canvas = np.full((bottom - top, right - left, 3), WHITE, np.uint8)
    inside = pixels[max(top, 0) : bottom, max(left, 0) : right]
    y, x = max(-top, 0), max(-left, 0)
    canvas[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    return Region(index, left, top, 1.0, canvas, halo_px, grid.mpp, grid.mpp)


def _cells(columns: core.Columns, shard: int) -> settle.Cells:
    count = columns["x_px"].size
    return settle.Cells(
        shard=np.full(count, shard),
        row=np.arange(count),
        x=columns["x_px"].astype(np.float64),
        y=columns["y_px"].astype(np.float64),
        polygon=shapely.from_wkb(columns["geometry"]),
        score=columns["score"].astype(np.float32),
        state=columns["state"].astype(object),
        tile=columns["tile"].astype(np.int64),
        region=columns["region"].astype(np.int64),
        seam=columns["seam"].astype(bool),
        area_um2=columns["area_um2"].astype(np.float32),
    )


@dataclass(frozen=True)
class Agreement:
    """Cells that two lattices find, and which of them the other one finds, too."""

    is_near: NDArray[np.bool_]
    """Whether each lies near a seam of either."""
    is_matched: NDArray[np.bool_]
    block: NDArray[np.int64]
    """Where each lies: cells of one block are no independent witnesses, and many are the same cell found twice."""
    duplicates: int

    @property
    def deficit_points(self) -> float:
        """How much less of 100 cells near seams match than of 100 interior ones."""
        return 100 * (_share(self.is_matched[~self.is_near]) - _share(self.is_matched[self.is_near]))

    @property
    def half_interval_points(self) -> float:
        """Half of the deficit's 95 % interval, by how much blocks differ."""
        near, matched = self.is_near, self.is_matched
        share = np.where(near, _share(matched[near]), _share(matched[~near]))
        count = np.where(near, near.sum(), (~near).sum())
        pull = np.bincount(self.block, np.where(near, -1, 1) * (matched - share) / count)
        return float(100 * 1.96 * np.sqrt((pull**2).sum()))


def pooled(parts: Sequence[Agreement]) -> Agreement:
    """What was found on several images."""
    starts = np.cumsum([0, *(int(part.block.max(initial=-1)) + 1 for part in parts)])
    return Agreement(
        np.concatenate([part.is_near for part in parts]),
        np.concatenate([part.is_matched for part in parts]),
        np.concatenate([part.block + start for part, start in zip(parts, starts[:-1], strict=True)]),
        sum(part.duplicates for part in parts),
    )


def agreement(cells: Sequence[settle.Cells], near: Sequence[NDArray[np.bool_]], least_iou: float = 0.5) -> Agreement:
    """Of the cells of two lattices; `near` says of each whether it is near a seam."""
    first, second = cells
    mine, theirs = shapely.STRtree(second.polygon).query(first.polygon, predicate="intersects")
    shared = shapely.area(shapely.intersection(first.polygon[mine], second.polygon[theirs]))
    iou = shared / (shapely.area(first.polygon)[mine] + shapely.area(second.polygon)[theirs] - shared)
    matched = [np.zeros(len(each), bool) for each in cells]
    for found, pairs in zip(matched, (mine, theirs), strict=True):
        found[pairs[iou >= least_iou]] = True
    x, y = (np.concatenate(places) // BLOCK_PX for places in ([c.x for c in cells], [c.y for c in cells]))
    _, block = np.unique(np.stack([x, y]), axis=1, return_inverse=True)
    return Agreement(
        np.concatenate(near), np.concatenate(matched), block.ravel(), sum(duplicates(each) for each in cells)
    )


def _share(matched: NDArray[np.bool_]) -> float:
    return float(matched.mean()) if matched.size else 0.0


def duplicates(cells: settle.Cells) -> int:
    """Pairs of cells of which one covers half of the other: seen twice."""
    a, b = shapely.STRtree(cells.polygon).query(cells.polygon, predicate="intersects")
    a, b = a[a < b], b[a < b]
    areas = shapely.area(cells.polygon)
    shared = shapely.area(shapely.intersection(cells.polygon[a], cells.polygon[b]))
    return int((shared > 0.5 * np.minimum(areas[a], areas[b])).sum())


def near_seams(
    cells: settle.Cells, pixels: NDArray[np.uint8], lattices: Sequence[Lattice], within_px: float
) -> NDArray[np.bool_]:
    """Whether a seam between regions of any of the lattices is so near to a cell; the image's edge is no seam."""
    near = np.zeros(len(cells), bool)
    for lattice in lattices:
        grid = lattice.grid(pixels, 1.0)
        for place, edges in ((cells.x, grid.x_edges), (cells.y, grid.y_edges)):
            seams = edges[:-1][lattice.region_tiles :: lattice.region_tiles]
            near |= (np.abs(place[:, None] - seams) <= within_px).any(axis=1)
    return near
