"""Which of a slide's tiles are wanted: drawn regions, and a sample of a given size that is spread over the tissue."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from morula.common.compute import Checkpoint
from morula.common.errors import InvalidArgument
from morula.common.geometry import Grid, hilbert
from morula.common.regions import read_polygons
from morula.tiler.gates import Gate
from morula.tiler.outline import lattice_inside

Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]

GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Selection:
    """What the caller wants of a slide; without anything, all of its tissue."""

    include: str = ""
    exclude: str = ""
    sample_tile_count: int = 0
    seed: int = 0
    gate: Gate = "default"
    find_cores: bool = False

    def __post_init__(self) -> None:
        if self.sample_tile_count < 0:
            raise InvalidArgument(
                f"sample_tile_count is 0 or more, not {self.sample_tile_count}", field="sample_tile_count"
            )
        if self.seed < 0:
            raise InvalidArgument(f"a seed is 0 or more, not {self.seed}", field="seed")


def wanted_tiles(grid: Grid, selection: Selection, checkpoint: Checkpoint) -> Flags:
    """Tiles whose centre lies in an included region, if there are any, and in no excluded one."""
    x = (grid.x_edges[:-1] + grid.x_edges[1:]) / 2
    y = (grid.y_edges[:-1] + grid.y_edges[1:]) / 2
    wanted = np.ones((grid.rows, grid.columns), bool)
    if selection.include:
        wanted &= lattice_inside(read_polygons(selection.include), x, y, checkpoint)
    if selection.exclude:
        wanted &= ~lattice_inside(read_polygons(selection.exclude), x, y, checkpoint)
    return wanted.ravel()


def spread_order(grid: Grid, tiles: Numbers, seed: int) -> Numbers:
    """These tiles in an order of which every beginning is spread over all of them.

    They are put on a Hilbert curve, along which near places are near tiles, and drawn by steps of the golden section.
    """
    row, column = np.divmod(tiles, grid.columns)
    curve = tiles[np.argsort(hilbert(column, row), kind="stable")]
    count = len(curve)
    start = np.random.default_rng(seed).random()
    steps = (start + GOLDEN * np.arange(4 * count)) % 1.0
    places, first = np.unique((steps * count).astype(np.int64), return_index=True)
    drawn = places[np.argsort(first)]
    rest = np.setdiff1d(np.arange(count), drawn)
    return np.asarray(curve[np.concatenate([drawn, rest])], np.int64)


def draw_sample(order: Numbers, count: int, is_kept: Callable[[int], bool]) -> Numbers:
    """Goes down the order until `count` tiles pass; fewer where there are no more."""
    kept: list[int] = []
    for tile in map(int, order):
        if len(kept) == count:
            break
        if is_kept(tile):
            kept.append(tile)
    return np.array(sorted(kept), np.int64)
