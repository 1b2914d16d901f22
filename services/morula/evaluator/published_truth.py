"""A batch of the published system and what a person said of it, as outlines with classes on the batch's slides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from morula.common.errors import InvalidArgument
from morula.evaluator.published_files import ENDING, FORMAT, HumanLabels, LabelledTile, Level0Px, Pixel, parse

TILE_PX = 512
EDGE_PX = 0.5
"""Its outlines run through the middles of pixels."""


class OutlinedCell(BaseModel):
    cell_id: int
    polygon: list[tuple[Pixel, Pixel]] = Field(min_length=3)


class OutlinedTile(BaseModel):
    """A tile with the place that its pixels have on the slide."""

    slide_id: str
    tile_name: str
    magnification: float = Field(ge=1 / 64, le=64, allow_inf_nan=False)
    x: Level0Px
    y: Level0Px
    cells: list[OutlinedCell]

    def on_slide(self, polygon: list[tuple[float, float]]) -> NDArray[np.float64]:
        """An outline in level-0 px. Of a larger picture than the slide's own only the middle was kept."""
        scale = self.magnification
        cut_off = (int(TILE_PX * scale) - TILE_PX) // 2 if scale > 1 else 0
        return np.array([self.x, self.y]) + (np.array(polygon) + EDGE_PX + cut_off) / scale


class OutlinedBatch(BaseModel):
    """`cell_labels.json`, for the places of its cells."""

    tiles: list[OutlinedTile]
    format: int = FORMAT


@dataclass(frozen=True)
class Labelled:
    """A cell that a person gave a class."""

    outline: Any
    name: str
    slide: str
    tile: str


def labelled(found: bytes, said: bytes) -> tuple[HumanLabels, list[Labelled]]:
    """The labels, and each with the outline of its cell; InvalidArgument where the batch has no such cell."""
    batch, labels = parse(OutlinedBatch, found, "cell_labels.json"), parse(HumanLabels, said, "human_labels.json")
    tiles: dict[tuple[str, str], OutlinedTile] = {}
    for tile in batch.tiles:
        name = tile.tile_name.removesuffix(ENDING)
        if tiles.setdefault((tile.slide_id, name), tile) is not tile:
            raise InvalidArgument(f"cell_labels.json has two tiles {name[:200]!r}: labels say no more than the name")
    names = labels.names()
    return labels, [one for tile in labels.tiles for one in _of_tile(tile, tiles, names)]


def _of_tile(
    said: LabelledTile, tiles: dict[tuple[str, str], OutlinedTile], names: dict[int, str]
) -> Iterator[Labelled]:
    name = said.tile_name.removesuffix(ENDING)
    tile = tiles.get((said.slide_id, name))
    if tile is None:
        raise InvalidArgument(f"cell_labels.json has no tile {name[:200]!r}, of which the labels speak")
    cells: dict[int, OutlinedCell] = {}
    for cell in tile.cells:
        if cells.setdefault(cell.cell_id, cell) is not cell:
            raise InvalidArgument(f"tile {name[:200]!r} has two cells {cell.cell_id}: labels say no more than that")
    for one in said.labelled_cells:
        if one.cell_id not in cells:
            raise InvalidArgument(f"tile {name[:200]!r} has no cell {one.cell_id}, of which the labels speak")
        if one.human_label in names:
            outline = shapely.polygons(tile.on_slide(cells[one.cell_id].polygon))
            yield Labelled(outline, names[one.human_label], said.slide_id, name)
