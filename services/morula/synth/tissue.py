"""Which tissue lies where, and how its fibres run: functions of the place, nothing is stored."""

from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morula.synth.noise import Floats, Ints, Window, fractal, lattice_point, uniform, value_noise

FIBRE_PERIOD_PX = 1024  # of the textures that the flows index


class Tissue(IntEnum):
    STROMA = 0
    GLAND = 1
    TUMOUR = 2
    LYMPHOID = 3
    MUSCLE = 4
    FAT = 5


# Seven, so that the eight neighbours of a site are of other kinds than itself (see Layout.kind); glands come twice.
_CYCLE = (Tissue.GLAND, Tissue.LYMPHOID, Tissue.MUSCLE, Tissue.TUMOUR, Tissue.FAT, Tissue.GLAND, Tissue.TUMOUR)
_SITE_JITTER = 0.28
SITE_REACH = 1.7  # in spacings: no tissue reaches farther from its site
_SITE, _WARP, _EDGE, _FLOW, _NEST = 1, 2, 3, 4, 5


class Layout:
    """The plan of one slide."""

    def __init__(self, width_px: int, height_px: int, seed: int, tissue_fraction: float | None = None) -> None:
        self.width_px, self.height_px, self.seed = width_px, height_px, seed
        usual = float(0.54 + 0.12 * uniform(seed, 100)[0])
        self.tissue_fraction = usual if tissue_fraction is None else tissue_fraction
        self._size_px = float(min(width_px, height_px))
        shrinking = min(1.0, self.tissue_fraction / usual) ** 0.5
        self.section_px = shrinking * self._size_px  # about its extent
        self.site_px = float(np.clip(shrinking * np.sqrt(width_px * height_px) / 5.5, 230, 1300))
        self._shift = int(uniform(seed, 101)[0] * 7)
        self.flow_angle = float(np.pi * uniform(seed, 102)[0])
        self.muscle_angle = float(np.pi * uniform(seed, 103)[0])
        gx, gy = np.meshgrid((np.arange(128) + 0.5) / 128 * width_px, (np.arange(128) + 0.5) / 128 * height_px)
        self._waterline = 0.0
        self._waterline = float(np.quantile(self.depth(gx, gy), 1 - self.tissue_fraction))

    def depth(self, x: Any, y: Any) -> Floats:
        """About how many pixels deep inside the section a place lies; negative on bare glass."""
        u, v = np.asarray(x) / self.width_px - 0.5, np.asarray(y) / self.height_px - 0.5
        turn = np.pi * uniform(self.seed, 104)[0]
        main = 1 - np.hypot(u * np.cos(turn) + v * np.sin(turn), 1.25 * (v * np.cos(turn) - u * np.sin(turn))) * 2
        side = 2 * np.pi * uniform(self.seed, 105)[0]
        piece = 0.75 - np.hypot(u - 0.42 * np.cos(side), v - 0.42 * np.sin(side)) * 3.2
        rough = 0.30 * fractal(self.seed, _EDGE, x, y, self._size_px / 3, 4)
        shred = 14 * fractal(self.seed, _EDGE + 50, x, y, 60, 2) + 3 * value_noise(self.seed, _EDGE + 60, x, y, 9)
        return np.asarray((np.maximum(main, piece) + rough) * self._size_px / 2 + shred - self._waterline)

    def is_bare(self, window: Window) -> bool:
        """Whether nothing but glass lies in the window, with room to spare."""
        x, y = np.meshgrid(np.arange(window.x0, window.x1 + 16, 16.0), np.arange(window.y0, window.y1 + 16, 16.0))
        return bool((self.depth(x, y) < -80).all())

    def kind(self, x: Any, y: Any) -> tuple[NDArray[np.uint8], Floats]:
        """The tissue of each place and how far inside it the place lies (px)."""
        ix, iy, inside_px = self._site(x, y)
        return np.where(inside_px < 0, np.uint8(Tissue.STROMA), self.kind_of_site(ix, iy)), np.abs(inside_px)

    def kind_of_site(self, ix: Ints, iy: Ints) -> NDArray[np.uint8]:
        """The tissue that a site of the lattice stands for."""
        return np.asarray(np.array(_CYCLE, np.uint8)[(ix + 3 * iy + self._shift) % 7])

    def sites_around(self, window: Window) -> tuple[Ints, Ints, Floats, Floats]:
        """(ix, iy, x, y) of the sites whose tissue may reach into the window."""
        around = window.grown(int(SITE_REACH * self.site_px))
        ys = np.arange(around.y0 // (self.site_px * 0.866), around.y1 // (self.site_px * 0.866) + 2).astype(np.int64)
        xs = np.arange(around.x0 // self.site_px - 1, around.x1 // self.site_px + 2).astype(np.int64)
        iy, ix = (a.ravel() for a in np.meshgrid(ys, xs, indexing="ij"))
        return ix, iy, *lattice_point(self.seed, _SITE, ix, iy, self.site_px, _SITE_JITTER)

    def is_of_site(self, site: tuple[int, int], x: Any, y: Any) -> NDArray[np.bool_]:
        """Which places in the section are of this very site's tissue."""
        ix, iy, inside_px = self._site(x, y)
        return np.asarray((ix == site[0]) & (iy == site[1]) & (inside_px >= 0) & (self.depth(x, y) > 0))

    def _site(self, x: Any, y: Any) -> tuple[Ints, Ints, Floats]:
        """The site nearest to each place, and how far inside its tissue the place lies; below zero between tissues."""
        warp = 0.30 * self.site_px
        wx = np.asarray(x) + warp * fractal(self.seed, _WARP, x, y, 0.55 * self.site_px, 4)
        wy = np.asarray(y) + warp * fractal(self.seed, _WARP + 1, x, y, 0.55 * self.site_px, 4)
        cy = np.round(wy / (self.site_px * 0.866)).astype(np.int64)
        cx = np.round(wx / self.site_px).astype(np.int64)
        first, second = np.full(wx.shape, np.inf), np.full(wx.shape, np.inf)
        nearest_x, nearest_y = cx, cy
        for dy in (-1, 0, 1):
            for dx in (-2, -1, 0, 1, 2):
                ix, iy = cx + dx, cy + dy
                sx, sy = lattice_point(self.seed, _SITE, ix, iy, self.site_px, _SITE_JITTER)
                distance = np.hypot(wx - sx, wy - sy)
                nearer = distance < first
                second = np.where(nearer, first, np.minimum(second, distance))
                nearest_x, nearest_y = np.where(nearer, ix, nearest_x), np.where(nearer, iy, nearest_y)
                first = np.where(nearer, distance, first)
        septum = 0.035 * self.site_px * (1.0 + value_noise(self.seed, _WARP + 2, x, y, 120))
        return nearest_x, nearest_y, (second - first) / 2 - septum

    def nest(self, x: Any, y: Any) -> Floats:
        """Above zero inside the solid nests of a tumour."""
        wobble = 0.25 * value_noise(self.seed, _NEST + 20, x, y, 28)
        return 0.42 - 1.6 * np.abs(fractal(self.seed, _NEST, x, y, 190, 2)) + wobble + 0.12

    def collagen(self, x: Any, y: Any) -> tuple[Floats, Floats]:
        """Coordinates along and across the collagen fibres."""
        return self._flow(x, y, self.flow_angle, _FLOW, 150.0, 420.0, 7.0)

    def muscle(self, x: Any, y: Any) -> tuple[Floats, Floats]:
        """Coordinates along and across the muscle fibres, which run far and straight."""
        return self._flow(x, y, self.muscle_angle, _FLOW + 4, 110.0, 900.0, 0.0)

    def _flow(
        self, x: Any, y: Any, angle: float, stream: int, sway_px: float, scale_px: float, crimp_px: float
    ) -> tuple[Floats, Floats]:
        c, s = np.cos(angle), np.sin(angle)
        sway = sway_px * fractal(self.seed, stream, x, y, scale_px, 2)
        sway = sway + crimp_px * value_noise(self.seed, stream + 2, x, y, 44)
        drift = 0.3 * sway_px * value_noise(self.seed, stream + 1, x, y, scale_px)
        return x * c + y * s + drift, y * c - x * s + sway

    def fibre_angle(self, x: Floats, y: Floats, muscle: bool = False) -> Floats:
        """Which way the fibres run at each place (radians)."""
        flow, step = (self.muscle if muscle else self.collagen), 3.0
        dx = flow(x + step, y)[1] - flow(x - step, y)[1]
        dy = flow(x, y + step)[1] - flow(x, y - step)[1]
        return np.arctan2(-dx, dy)


def smoothstep(low: float, high: float, value: Any) -> Any:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
