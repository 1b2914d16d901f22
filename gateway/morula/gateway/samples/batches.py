"""Batches that were sampled elsewhere, found again on the slides here: tiles by their places, cells by id or place."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from morula.common.errors import InvalidArgument
from morula.gateway.sample_schemas import SAMPLED_CELL_LIMIT, BatchCell, BatchFile, BatchTile
from morula.gateway.samples.published import EDGE_PX, ENDING, slide_called
from morula.gateway.views import SlideRows

TILE_PX = 512
REACH_UM = 2.0
"""How far the middle of a cell may lie from the middle of the outline in the file: less than half a nucleus."""


@dataclass(frozen=True)
class Ground:
    """A slide here: its record, and its cells."""

    row: Mapping[str, Any]
    cells: SlideRows


@dataclass
class Found:
    """Rows of a sample's tiles, and how many cells and tiles of each slide were not found again."""

    tiles: list[dict[str, Any]] = field(default_factory=list)
    lost_cells: Counter[int] = field(default_factory=Counter)
    lost_tiles: Counter[int] = field(default_factory=Counter)

    def left_out(self) -> list[dict[str, Any]]:
        """What is in no batch, as a sample keeps it."""
        return [
            {
                "slide": slide,
                "reason": "not_found",
                "tile_count": self.lost_tiles[slide],
                "cell_count": self.lost_cells[slide],
            }
            for slide in sorted(self.lost_cells.keys() | self.lost_tiles.keys())
        ]


def find_batches(batches: Sequence[BatchFile], slides: Sequence[Ground]) -> Found:
    """Tiles of these batches with the cells that are found; InvalidArgument where a tile's slide is not here.

    Labels come for tiles and cells by these names alone: what has the name of another would get its labels.
    """
    found = Found()
    seen: set[tuple[object, ...]] = set()
    taken: list[set[int]] = [set() for _ in slides]
    for number, batch in enumerate(batches, 1):
        for tile in batch.tiles:
            at = _slide_called(tile.slide_id, slides)
            known = {(at, tile.x, tile.y, tile.magnification), (tile.slide_id, tile.tile_name.removesuffix(ENDING))}
            if not seen.isdisjoint(known):
                raise InvalidArgument(f"Tile {tile.tile_name[:200]!r} is there twice.")
            seen |= known
            _add(found, number, at, tile, slides[at], taken[at])
    if not found.tiles:
        raise InvalidArgument("No cell of these batches is among the cells of these jobs.")
    if (count := sum(tile["cell_count"] for tile in found.tiles)) > SAMPLED_CELL_LIMIT:
        raise InvalidArgument(f"A sample has at most {SAMPLED_CELL_LIMIT} cells, and these batches have {count}.")
    return found


def _add(found: Found, batch: int, at: int, tile: BatchTile, slide: Ground, taken: set[int]) -> None:
    cell_id, count = Counter(cell.cell_id for cell in tile.cells).most_common(1)[0] if tile.cells else (0, 0)
    if count > 1:
        raise InvalidArgument(f"Tile {tile.tile_name[:200]!r} has {count} cells with the cell_id {cell_id}.")
    rows = list(_rows(tile, slide, taken))
    kept = [(cell, row) for cell, row in zip(tile.cells, rows, strict=True) if row is not None]
    if len(kept) < len(rows):
        found.lost_cells[at] += len(rows) - len(kept)
    if not kept:
        found.lost_tiles[at] += 1
        return
    side = round(TILE_PX / tile.magnification)
    local = [row for _, row in kept]
    numbers = Counter(slide.cells.tile[local].tolist())
    found.tiles.append(
        {
            "number": len(found.tiles) + 1,
            "batch": batch,
            "slide": at,
            "tile": numbers.most_common(1)[0][0],
            "x_px": tile.x,
            "y_px": tile.y,
            "width_px": side,
            "height_px": side,
            "mpp": slide.row["slide_mpp"] / tile.magnification,
            "cell_count": len(kept),
            "cell_ids": [str(UUID(bytes=cell_id)) for cell_id in slide.cells.cell_ids(local)],
            "named": {
                "slide_id": tile.slide_id,
                "tile_name": tile.tile_name.removesuffix(ENDING),
                "numbers": [cell.cell_id for cell, _ in kept],
            },
        }
    )


def _slide_called(name: str, slides: Sequence[Ground]) -> int:
    found = [
        at
        for at, slide in enumerate(slides)
        if name in (slide_called(slide.row), slide.row["name"], slide.row["slide_id"], slide.row["digest"])
    ]
    if len(found) != 1:
        how_many = f"{len(found)} slides are" if found else "No slide is"
        raise InvalidArgument(f"{how_many} called {name[:200]!r} among those of these jobs.")
    return found[0]


def _rows(tile: BatchTile, slide: Ground, taken: set[int]) -> Iterator[int | None]:
    """The row of each of the tile's cells on the slide; None where it is not found, or was in a tile before."""
    uuids = [cell.uuid for cell in tile.cells]
    known = slide.cells.rows_of([uuid.bytes for uuid in uuids if uuid is not None])
    by_id = iter(known)
    near = None if all(uuids) else _near(tile, slide)
    for cell in tile.cells:
        row = next(by_id) if near is None or cell.uuid is not None else _nearest(tile, cell, slide, near, taken)
        if row in taken:
            row = None
        if row is not None:
            taken.add(row)
        yield row


def _near(tile: BatchTile, slide: Ground) -> NDArray[np.int64]:
    """Rows of the cells in and around a tile: only these are looked at for each of its cells."""
    margin = TILE_PX / tile.magnification
    x, y = slide.cells.x_px, slide.cells.y_px
    across = (x >= tile.x - margin) & (x <= tile.x + 2 * margin)
    return np.flatnonzero(across & (y >= tile.y - margin) & (y <= tile.y + 2 * margin))


def _nearest(tile: BatchTile, cell: BatchCell, slide: Ground, near: NDArray[np.int64], taken: set[int]) -> int | None:
    """The cell whose middle is nearest to that of the outline, if it is near enough and no other took it."""
    x, y = np.array([tile.x, tile.y]) + (_middle(np.array(cell.polygon)) + EDGE_PX) / tile.magnification
    apart = np.hypot(slide.cells.x_px[near] - x, slide.cells.y_px[near] - y)
    order = np.argsort(apart, kind="stable")
    within = near[order[apart[order] <= REACH_UM / slide.row["slide_mpp"]]]
    return next((row for row in within.tolist() if row not in taken), None)


def _middle(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """The centroid of an outline; the mean of its corners where it encloses nothing."""
    before, after = ring, np.roll(ring, -1, axis=0)
    cross = before[:, 0] * after[:, 1] - after[:, 0] * before[:, 1]
    area = cross.sum() / 2
    if abs(area) < 1e-6:
        return np.asarray(ring.mean(axis=0))
    return np.asarray(((before + after) * cross[:, None]).sum(axis=0) / (6 * area))
