"""All shards of a slide become one list of cells: each cell once, in an order that never changes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from morula.clusterer.arrays import Doubles, Floats, Rows
from morula.common.geometry import blocks_of, hilbert
from morula.common.keys import cell_id, cell_namespace

OVERLAP = 0.3
"""Share of the smaller polygon from which two polygons of different regions are one cell."""
NEAR = 3.0
"""Working pixels from which two centroids of different regions are one cell, whatever their polygons."""
DENSITY_RADIUS_UM = 25.0


@dataclass(frozen=True)
class Cells:
    """Cells of all shards in key order: shard, then row. Level-0 pixels."""

    shard: Rows
    row: Rows
    x: Doubles
    y: Doubles
    polygon: NDArray[np.object_]
    score: Floats
    state: NDArray[np.object_]
    tile: Rows
    region: Rows
    seam: NDArray[np.bool_]
    area_um2: Floats

    def take(self, places: Rows) -> Cells:
        """These cells, in this order."""
        return Cells(**{field.name: getattr(self, field.name)[places] for field in fields(self)})

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Identity:
    """What the ids of a slide's cells are made from."""

    slide_digest: str
    object_kind: str
    model: tuple[str, str]
    mpp: float
    slide_mpp: float

    @property
    def downsample(self) -> float:
        """Level-0 pixels per working pixel."""
        return self.mpp / self.slide_mpp


@dataclass(frozen=True)
class Settled:
    """The cells that stay, in their final order."""

    cells: Cells
    cell_ids: list[bytes]
    density_per_mm2: Floats
    blocks: list[tuple[int, int, int, int]]
    """Block x, block y, first row, row after the last."""
    dropped_count: int

    @property
    def truncated_count(self) -> int:
        """Cells that reach beyond the largest halo that was cut."""
        return int((self.cells.state == "truncated").sum())


def join(shards: Sequence[tuple[Cells, Collection[int]]]) -> Cells:
    """One list in key order, of shards and the regions that each of them holds.

    A region that was cut again counts as its last cut shows it: united, two views would also keep what only the
    poorer one saw.
    """
    last = {region: number for number, (_, regions) in enumerate(shards) for region in regions}
    parts: list[Cells] = []
    for number, (cells, _) in enumerate(shards):
        cut_again = [region for region in np.unique(cells.region).tolist() if last.get(region, number) > number]
        parts.append(cells.take(np.flatnonzero(~np.isin(cells.region, cut_again))))
    return Cells(**{field.name: np.concatenate([getattr(p, field.name) for p in parts]) for field in fields(Cells)})


def settle(cells: Cells, identity: Identity) -> Settled:
    """Drops what was seen twice, then sorts by block along a Hilbert curve, then y, then x."""
    keep = resolve(cells, identity.downsample)
    kept = cells.take(np.flatnonzero(keep))
    order, blocks = ordered(kept)
    kept = kept.take(order)
    return Settled(
        cells=kept,
        cell_ids=cell_ids(kept, identity),
        density_per_mm2=density_per_mm2(kept.x, kept.y, identity.slide_mpp),
        blocks=blocks,
        dropped_count=len(cells) - len(kept),
    )


def resolve(cells: Cells, downsample: float) -> NDArray[np.bool_]:
    """Which cells stay. Of one cell seen from several regions it is the whole one with the largest score, else the
    largest of those that are cut off.

    Candidates lie at seams or are cut off, and what meets one may be the same cell: where a neighbour saw a piece, the
    whole cell lies anywhere. They are taken in order of preference, ties in key order; one stays unless it is the same
    cell as one that stays already.
    """
    keep = np.ones(len(cells), bool)
    cut_off = cells.state == "truncated"
    places = _with_those_they_meet(cells, np.flatnonzero(cells.seam | cut_off))
    if len(places) < 2:
        return keep
    candidates, cut_off = cells.take(places), cut_off[places]
    partners = _same_cell(candidates, downsample)
    worth = np.where(cut_off, candidates.area_um2, candidates.score)
    for place in np.lexsort((np.arange(len(places)), -worth, cut_off)):
        if keep[places[place]]:
            keep[places[partners.get(int(place), [])]] = False
    return keep


def ordered(cells: Cells) -> tuple[Rows, list[tuple[int, int, int, int]]]:
    """Order of the cells, and the run of rows of each block."""
    if not len(cells):
        return np.zeros(0, np.int64), []
    block_x, block_y = blocks_of(np.maximum(cells.x, 0.0), np.maximum(cells.y, 0.0))
    place = hilbert(block_x, block_y)
    order = np.lexsort((cells.x, cells.y, place))
    _, starts = np.unique(place[order], return_index=True)
    stops = [*starts[1:], len(order)]
    rows = [order[start] for start in starts]
    blocks = [
        (int(block_x[row]), int(block_y[row]), int(start), int(stop))
        for row, start, stop in zip(rows, starts, stops, strict=True)
    ]
    return order.astype(np.int64), blocks


def cell_ids(cells: Cells, identity: Identity) -> list[bytes]:
    """UUIDs in row order; cells that share a whole pixel are numbered from the largest."""
    namespace = cell_namespace(identity.slide_digest, identity.object_kind, identity.model, identity.mpp)
    x, y = np.floor(cells.x).astype(np.int64), np.floor(cells.y).astype(np.int64)
    order = np.lexsort((-cells.area_um2, y, x))
    first = np.ones(len(order), bool)
    first[1:] = (np.diff(x[order]) != 0) | (np.diff(y[order]) != 0)
    numbers = np.empty(len(order), np.int64)
    numbers[order] = np.arange(len(order)) - np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
    return [cell_id(namespace, *place).bytes for place in zip(x.tolist(), y.tolist(), numbers.tolist(), strict=True)]


def density_per_mm2(x: Doubles, y: Doubles, slide_mpp: float) -> Floats:
    """Other cells within 25 um, per square millimetre."""
    if not len(x):
        return np.zeros(0, np.float32)
    places = np.stack([x, y], axis=1) * slide_mpp
    counts = cKDTree(places).query_ball_point(places, DENSITY_RADIUS_UM, return_length=True)
    area_mm2 = np.pi * (DENSITY_RADIUS_UM / 1000.0) ** 2
    density: Floats = ((np.asarray(counts) - 1) / area_mm2).astype(np.float32)
    return density


def _with_those_they_meet(cells: Cells, places: Rows) -> Rows:
    """These cells and all whose polygons meet theirs."""
    meeting, _ = shapely.STRtree(cells.polygon[places]).query(cells.polygon, predicate="intersects")
    return np.union1d(places, meeting)


def _same_cell(cells: Cells, downsample: float) -> dict[int, list[int]]:
    """For each cell those of other regions that are the same cell."""
    tree = shapely.STRtree(cells.polygon)
    overlapping = tree.query(cells.polygon, predicate="intersects").T
    near = cKDTree(np.stack([cells.x, cells.y], axis=1)).query_pairs(NEAR * downsample, output_type="ndarray")
    pairs = np.unique(np.sort(np.concatenate([overlapping, near.reshape(-1, 2)]), axis=1), axis=0)
    a, b = pairs.T
    foreign = cells.region[a] != cells.region[b]
    a, b = a[foreign], b[foreign]
    shared = shapely.area(shapely.intersection(cells.polygon[a], cells.polygon[b]))
    smaller = np.minimum(shapely.area(cells.polygon[a]), shapely.area(cells.polygon[b]))
    close = np.hypot(cells.x[a] - cells.x[b], cells.y[a] - cells.y[b]) <= NEAR * downsample
    same = close | (shared > OVERLAP * smaller)
    partners: dict[int, list[int]] = {}
    for one, other in zip(a[same].tolist(), b[same].tolist(), strict=True):
        partners.setdefault(one, []).append(other)
        partners.setdefault(other, []).append(one)
    return partners
