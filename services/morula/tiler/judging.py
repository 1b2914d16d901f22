"""Tiles out of decoded windows, judged where they could be read."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from morula.common.errors import SlideUnreadable
from morula.common.geometry import Box, Grid
from morula.tiler import core
from morula.tiler.gates import Gate, TileJudgement, judge_tile
from morula.tiler.impression import Impression
from morula.tiler.slide import Area, Part, Slide
from morula.tiler.tissue import TissueRule


@dataclass(frozen=True)
class Tile:
    """A tile to read."""

    number: int
    core: Box
    fold_fraction: float


def judge(decoded: core.Decoded, place: tuple[slice, slice], rule: TissueRule, tile: Tile, gate: Gate) -> TileJudgement:
    """The verdict on the tile that lies at a place of a decoded window."""
    if decoded.is_unreadable(place):
        return TileJudgement.unreadable()
    seen = Impression.of_whole(decoded.pixels[place], is_dark=rule.illumination == "dark")
    return judge_tile(seen, rule, gate, tile.fold_fraction)


def judge_one(
    slide: Slide, scale: core.WorkingScale, grid: Grid, rule: TissueRule, tile: Tile, gate: Gate
) -> TileJudgement:
    """The verdict on one tile, read by itself: the same as when its whole region is read."""
    window = core.window_of(tile.core, scale, grid, 0).of_box(tile.core)
    try:
        seen = Impression.of((window.width, window.height), _parts(slide, window), is_dark=rule.illumination == "dark")
    except SlideUnreadable:
        return TileJudgement.unreadable()
    return judge_tile(seen, rule, gate, tile.fold_fraction)


def _parts(slide: Slide, window: core.SourceWindow) -> Iterable[Part]:
    area = Area(*window.source())
    if window.scale.step == 1:
        return slide.parts(window.scale.level, area)
    return [Part(0, 0, np.ascontiguousarray(window.resample(slide.read(window.scale.level, *area))))]
