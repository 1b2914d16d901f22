"""Tiles out of decoded windows, judged where they could be read."""

from dataclasses import dataclass

import numpy as np

from morula.common.geometry import Grid
from morula.tiler import core
from morula.tiler.gates import Gate, TileJudgement, judge_tile
from morula.tiler.slide import Slide
from morula.tiler.tissue import TissueRule


@dataclass(frozen=True)
class Tile:
    """A tile to read."""

    number: int
    fold_fraction: float


def judge(decoded: core.Decoded, place: tuple[slice, slice], rule: TissueRule, tile: Tile, gate: Gate) -> TileJudgement:
    """The verdict on the tile that lies at a place of a decoded window."""
    if decoded.is_unreadable(place):
        return TileJudgement.unreadable()
    return judge_tile(np.ascontiguousarray(decoded.pixels[place]), rule, gate, tile.fold_fraction)


def judge_one(
    slide: Slide, scale: core.WorkingScale, grid: Grid, rule: TissueRule, tile: Tile, gate: Gate
) -> TileJudgement:
    """The verdict on one tile, read by itself: the same as when its whole region is read."""
    box = grid.core(tile.number)
    window = core.window_of(box, scale, grid, 0)
    decoded = core.decode(window, grid.tile_px, [(0, 0, window.width, window.height)], slide.read)
    return judge(decoded, window.place(box), rule, tile, gate)
