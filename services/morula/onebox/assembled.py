"""Slides put together again from tiles of the published system, without loss, with their cells beside them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from morula.common import imported
from morula.common.published import TILE_PX, is_class
from morula.onebox.failures import Unreadable
from morula.onebox.published_cells import read_picture, rows_of_tile
from morula.onebox.published_run import Known, Remarks, SlideFolder, TileFiles, known_cells
from morula.synth.pyramid import EXACTLY, Level, encode_exactly, write_slide

BLANK = 255
MOST_ACROSS, MOST_SQUARES = 1024, 1 << 18
"""Tiles beside each other, and squares of a slide: no scanner's glass is larger."""
CLASS_LETTERS = 200
ROUNDING_PX = 1.0
"""How far a corner may lie from where a grid with a side that is no whole number has it."""


@dataclass(frozen=True)
class Placed:
    """A tile with the column and row of its square."""

    column: int
    row: int
    files: TileFiles


@dataclass(frozen=True)
class Assembled:
    """A slide's files, by the names under which it is taken in."""

    name: str
    files: Mapping[str, Path]
    mpp: float
    cell_count: int
    tile_count: int


def assemble(slide: SlideFolder, folder: Path, level_0_mpp: float, remarks: Remarks) -> Iterator[Assembled]:
    """The slides of one slide's tiles: one of each magnification, written into a folder."""
    known = known_cells(slide, remarks)
    sides = _by_side(slide, remarks)
    for side_px, tiles in sorted(sides.items()):
        scale = f" at {TILE_PX / side_px:.3g}x" if len(sides) > 1 else ""
        name = f"{slide.slide_id}{scale}"
        mpp = level_0_mpp * side_px / TILE_PX
        stem = name.replace(" ", "_")
        picture, cells = folder / f"{stem}.tiff", folder / f"{stem}{imported.ENDING}"
        _write_picture(tiles, picture, mpp)
        count = _write_cells(tiles, known, cells, remarks)
        yield Assembled(name, {path.name: path for path in (picture, cells)}, mpp, count, len(tiles))


def check(slide: SlideFolder) -> set[str]:
    """Raises where a slide cannot be taken over, as far as one sees that without its pixels; its classes."""
    said = {known.pred_class for cells in known_cells(slide, Remarks()).values() for known in cells.values()}
    classes = {name for name in said if name is not None and is_class(name)}
    for name in sorted(classes):
        if len(name) > CLASS_LETTERS or not name.isprintable():
            raise Unreadable(
                f"{slide.slide_id} has a class {name[:60]!r} of {len(name):,} letters: its name is one line of "
                f"{CLASS_LETTERS} at most"
            )
    _by_side(slide, Remarks())
    return classes


def _by_side(slide: SlideFolder, remarks: Remarks) -> dict[float, list[Placed]]:
    """Tiles by the side of their square at level 0, from which their place in the grid follows."""
    groups: dict[float, list[TileFiles]] = defaultdict(list)
    for tile in slide.tiles.values():
        if tile.picture is None:
            remarks.add("tiles have no picture in the folder: they are left out with their cells", tile.name.text)
        elif tile.name.magnification > 1:
            # They show the middle of their square alone: between them lies tissue that no tile shows.
            remarks.add("tiles are enlarged beyond the scan: they are left out with their cells", tile.name.text)
        else:
            groups[tile.name.magnification].append(tile)
    sides: dict[float, list[Placed]] = defaultdict(list)
    for tiles in groups.values():
        side_px = _side_of(tiles)
        for tile in tiles:
            if _fits(tile, side_px):
                column, row = (round(at / side_px) for at in (tile.name.x_px, tile.name.y_px))
                sides[side_px].append(Placed(column, row, tile))
            else:
                remarks.add("tiles lie beside the grid of the others: they are left out", tile.name.text)
    for placed in sides.values():
        _check_extent(slide.slide_id, placed)
    return sides


def _check_extent(slide_id: str, tiles: Sequence[Placed]) -> None:
    columns, rows = (1 + max(at) for at in zip(*((tile.column, tile.row) for tile in tiles), strict=True))
    if max(columns, rows) > MOST_ACROSS or columns * rows > MOST_SQUARES:
        far = max(tiles, key=lambda tile: max(tile.column, tile.row))
        raise Unreadable(
            f"tiles of {slide_id} lie in {columns:,} columns and {rows:,} rows, more than any glass has, the last "
            f"one is {far.files.name.text}"
        )


def _side_of(tiles: Sequence[TileFiles]) -> float:
    """The side of a square of a grid in which most of these tiles lie; of several the one that the name tells best.

    Published tiles have whole sides. Those of other grids, as ours at any scale, follow from how far the last one lies.
    """
    whole = [float(side) for side in tiles[0].name.sides_px]
    far = max(max(tile.name.x_px, tile.name.y_px) for tile in tiles)
    counts = range(int(far // (whole[0] + 1)), int(far // max(whole[-1] - 1, 1)) + 1)
    sides = [*whole, *(far / count for count in counts if count)]
    return max(sides, key=lambda side: sum(_fits(tile, side) for tile in tiles))


def _fits(tile: TileFiles, side_px: float) -> bool:
    """Whether a tile's corner is one of the grid's: of a whole side exactly, else but for rounding."""
    slack = 0.0 if side_px.is_integer() else ROUNDING_PX
    return all(abs(at - round(at / side_px) * side_px) <= slack for at in (tile.name.x_px, tile.name.y_px))


def _write_picture(tiles: Sequence[Placed], path: Path, mpp: float) -> None:
    """The pixels of all tiles in their squares, and white where there is none."""
    width = (max(tile.column for tile in tiles) + 1) * TILE_PX
    height = (max(tile.row for tile in tiles) + 1) * TILE_PX
    rows: dict[int, list[Placed]] = defaultdict(list)
    for tile in tiles:
        rows[tile.row].append(tile)
    top = Level(path.parent, 0, width, height, encode=encode_exactly)
    for row in range(height // TILE_PX):
        band: NDArray[np.uint8] = np.full((TILE_PX, width, 3), BLANK, np.uint8)
        for tile in rows.get(row, ()):
            if tile.files.picture is not None:
                left = tile.column * TILE_PX
                band[:, left : left + TILE_PX] = read_picture(tile.files.picture)
        top.push(band)
    top.finish()
    spools = top.spools()
    write_slide(path, spools, mpp, EXACTLY)
    for spool in spools:
        spool.path.unlink()


def _write_cells(
    tiles: Sequence[Placed], known: Mapping[str, Mapping[int, Known]], path: Path, remarks: Remarks
) -> int:
    columns: dict[str, list[object]] = {name: [] for name in imported.SCHEMA.names}
    for tile in sorted(tiles, key=lambda one: (one.row, one.column)):
        corner = (tile.column * TILE_PX, tile.row * TILE_PX)
        for row in rows_of_tile(tile.files, known.get(tile.files.name.text, {}), corner, remarks):
            for name, value in row.items():
                columns[name].append(value)
    imported.write(columns, path)
    return len(columns["mask"])
