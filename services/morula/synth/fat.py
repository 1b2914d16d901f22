"""Fat cells: a Voronoi diagram with bent walls, some of them torn, so that a few cells are longer than a tile."""

from typing import Any

import numpy as np

from morula.synth.noise import Floats, Ints, Window, lattice_point, uniform, value_noise

SPACING_PX, JITTER = 118.0, 0.36
NO_TEAR = -1
_POINTS, _TEARS = 72, 74  # streams
_TEAR_SPACING_PX, _TEAR_JITTER = 980.0, 0.1
_TEAR_LENGTH_PX, _TEAR_WIDTH_PX = 430.0, 70.0  # half of each


def warp(seed: int, x: Any, y: Any) -> tuple[Floats, Floats]:
    """Where a place lies in the plane in which the walls between fat cells are straight."""
    return x + 9 * value_noise(seed, 70, x, y, 50), y + 9 * value_noise(seed, 71, x, y, 50)


def points_near(seed: int, window: Window) -> tuple[Floats, Floats]:
    """The middles of the cells that may reach into the window."""
    reach = window.grown(int(4 * SPACING_PX))
    ys = np.arange(reach.y0 // (SPACING_PX * 0.866), reach.y1 // (SPACING_PX * 0.866) + 1).astype(np.int64)
    xs = np.arange(reach.x0 // SPACING_PX, reach.x1 // SPACING_PX + 1).astype(np.int64)
    iy, ix = (a.ravel() for a in np.meshgrid(ys, xs, indexing="ij"))
    return lattice_point(seed, _POINTS, ix, iy, SPACING_PX, JITTER)


def tear_of(seed: int, x: Floats, y: Floats) -> Ints:
    """Which tear a cell's middle lies in, NO_TEAR for none: all cells of one tear are one hollow."""
    cy = np.round(y / (_TEAR_SPACING_PX * 0.866)).astype(np.int64)
    cx = np.round(x / _TEAR_SPACING_PX).astype(np.int64)
    tears = np.full(x.shape, NO_TEAR, np.int64)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            ix, iy = cx + dx, cy + dy
            tx, ty = lattice_point(seed, _TEARS, ix, iy, _TEAR_SPACING_PX, _TEAR_JITTER)
            turn = np.exp(-1j * np.pi * uniform(seed, _TEARS, ix, iy))
            offset = ((x - tx) + 1j * (y - ty)) * turn
            hit = np.hypot(offset.real / _TEAR_LENGTH_PX, offset.imag / _TEAR_WIDTH_PX) < 1
            tears = np.where(hit & (tears == NO_TEAR), _number(ix, iy), tears)
    return tears


def cells_at(seed: int, x: Any, y: Any) -> tuple[Ints, Floats, Floats]:
    """The cell of each place, the distance to its nearest wall, and the angle of that wall."""
    wx, wy = warp(seed, x, y)
    cy, cx = np.round(wy / (SPACING_PX * 0.866)).astype(np.int64), np.round(wx / SPACING_PX).astype(np.int64)
    around = [(cx + dx, cy + dy) for dy in (-1, 0, 1) for dx in (-2, -1, 0, 1, 2)]
    points = np.stack(
        [sx + 1j * sy for sx, sy in (lattice_point(seed, _POINTS, *c, SPACING_PX, JITTER) for c in around)]
    )
    offsets = points - (wx + 1j * wy)
    order = np.argsort(np.abs(offsets), axis=0)[:2]
    near, far = np.take_along_axis(offsets, order, axis=0)
    own, other = (tear_of(seed, p.real, p.imag) for p in np.take_along_axis(points, order, axis=0))
    names = np.take_along_axis(np.stack([_number(*c) for c in around]), order[:1], axis=0)[0]
    cell = np.where(own == NO_TEAR, 2 * names, 2 * own + 1)
    wall = np.where((own == other) & (own != NO_TEAR), np.inf, (np.abs(far) - np.abs(near)) / 2)
    return cell, wall, np.angle(far - near) + np.pi / 2


def _number(ix: Ints, iy: Ints) -> Ints:
    """A number of its own, not below zero, for each node of a lattice."""
    return (ix + (1 << 20)) * (1 << 21) + iy + (1 << 20)
