"""All things of one window, each in its own place and with its own number."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from morula.synth.cells import CELL
from morula.synth.noise import Window
from morula.synth.populations import gland_walls, scattered, smudges, vessel_walls
from morula.synth.shapes import Blobs
from morula.synth.structures import HOLLOW, glands_near, inside_any, vessels_near
from morula.synth.tissue import Layout

PAIR_PX = 58  # cells with centres farther apart cannot overlap
SETTLING_ROUNDS = 2
HALO_PX = 240  # what lies farther away cannot change a block: 3 * PAIR_PX for two rounds, two squares of `named`
EDGE_PX = 32  # no cell is cut by the slide's edge
_SQUARE_PX, _PER_SQUARE = 32, 64  # the smallest nucleus has 37 px: more than 64 do not fit


@dataclass(frozen=True)
class Scene:
    """What is to be painted, and the instance number of each cell."""

    glands: Blobs
    vessels: Blobs
    smudges: Blobs
    cells: Blobs
    names: NDArray[np.uint32]

    @classmethod
    def around(cls, layout: Layout, window: Window) -> "Scene":
        """All that a window shows. What lies in it, and a little beyond, does not depend on the window."""
        wide = window.grown(HALO_PX)
        if layout.is_bare(window):
            hollow, cell = np.zeros(0, HOLLOW), np.zeros(0, CELL)
            return cls(hollow, hollow, cell, cell, np.zeros(0, np.uint32))
        glands = glands_near(layout, wide)
        vessels = vessels_near(layout, wide, glands)
        cells = _settled(layout, wide, glands, vessels)
        return cls(glands, vessels, smudges(layout, window.grown(PAIR_PX)), cells, _named(cells, layout.width_px))

    def centred_in(self, window: Window) -> NDArray[np.bool_]:
        """Which cells have their centre in the window."""
        x, y = self.cells["x"], self.cells["y"]
        return np.asarray((x >= window.x0) & (x < window.x1) & (y >= window.y0) & (y < window.y1))


def _settled(layout: Layout, window: Window, glands: Blobs, vessels: Blobs) -> Blobs:
    """All cells whose centres lie in the window; those deeper than HALO_PX are the same whatever the window is."""
    loose = scattered(layout, window)
    blocked = inside_any(glands, loose["x"], loose["y"], 7.0)
    blocked |= inside_any(vessels, loose["x"], loose["y"], 7.0)
    cells = np.concatenate([gland_walls(layout, glands), vessel_walls(layout, vessels), loose[~blocked]])
    x, y = cells["x"], cells["y"]
    keep = (x >= window.x0) & (x < window.x1) & (y >= window.y0) & (y < window.y1)
    keep &= (x > EDGE_PX) & (y > EDGE_PX) & (x < layout.width_px - EDGE_PX) & (y < layout.height_px - EDGE_PX)
    cells = cells[keep]
    cells = cells[layout.depth(cells["x"], cells["y"]) > cells["a"] + 3]
    return _thinned(cells)


def _thinned(cells: Blobs) -> Blobs:
    """Of cells that would overlap keep the one with the higher priority; a fixed number of rounds keeps this local."""
    first, second = _conflicts(cells)
    alive, kept = np.ones(len(cells), bool), np.zeros(len(cells), bool)
    wins = cells["priority"][first] > cells["priority"][second]
    loser_of = np.where(wins, second, first)
    for _ in range(SETTLING_ROUNDS):
        active = alive[first] & alive[second]
        beaten = np.zeros(len(cells), bool)
        beaten[loser_of[active]] = True
        winners = alive & ~beaten
        kept |= winners
        alive &= ~winners
        for one, other in ((first, second), (second, first)):
            alive[other[kept[one]]] = False
    return cells[kept]


def _conflicts(cells: Blobs) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs that overlap, each nucleus taken as three discs along its axis."""
    if len(cells) < 2:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    offset = np.maximum(0, cells["a"] - cells["b"])[:, None] * np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    discs = (cells["x"] + 1j * cells["y"])[:, None] + offset * np.exp(1j * cells["angle"])[:, None]
    radius = cells["b"][:, None] * np.array([0.78, 0.95, 1.0, 0.95, 0.78])
    pairs = cKDTree(np.c_[cells["x"], cells["y"]]).query_pairs(PAIR_PX, output_type="ndarray")
    first, second = pairs[:, 0], pairs[:, 1]
    close = np.abs(discs[first][:, 2] - discs[second][:, 2]) < cells["a"][first] + cells["a"][second] + 8
    first, second = first[close], second[close]
    between = np.abs(discs[first][:, :, None] - discs[second][:, None, :])
    clear = between - radius[first][:, :, None] - radius[second][:, None, :]
    overlap = clear.min(axis=(1, 2)) < (cells["gap"][first] + cells["gap"][second]) / 2
    return first[overlap], second[overlap]


def _named(cells: Blobs, width_px: int) -> NDArray[np.uint32]:
    """A number of its own for each cell of the slide, from its place alone: any block gives a cell the same number.

    A cell's number is that of its square of 32 px and its rank in there, by y and x.
    """
    across = -(-width_px // _SQUARE_PX)
    square = (cells["y"] // _SQUARE_PX).astype(np.int64) * across + (cells["x"] // _SQUARE_PX).astype(np.int64)
    order = np.lexsort((cells["x"], cells["y"], square))
    starts = np.r_[True, square[order][1:] != square[order][:-1]] if len(cells) else np.zeros(0, bool)
    first = np.maximum.accumulate(np.where(starts, np.arange(len(cells)), 0))
    numbers = np.zeros(len(cells), np.uint32)
    numbers[order] = square[order] * _PER_SQUARE + (np.arange(len(cells)) - first) + 1
    return numbers
