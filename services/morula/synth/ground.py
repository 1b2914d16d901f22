"""What lies between the cells: collagen, muscle, fat, tumour nests, as amounts of haematoxylin and eosin."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from scipy.spatial import Voronoi

from morula.synth import fat
from morula.synth.noise import Floats, Window, value_noise
from morula.synth.textures import MUSCLE_STEPS_PER_PX, Image, Textures, sampled, tiled
from morula.synth.tissue import FIBRE_PERIOD_PX, Layout, Tissue, smoothstep

COARSE_PX, FINE_PX = 8, 4
STRIPES = 213  # of muscle, to the period: one in 2.4 um
Stains = tuple[Image, Image]  # haematoxylin, eosin


class Ground:
    """The painter of one window's ground; the window's corner must lie on the coarse grid."""

    def __init__(self, layout: Layout, textures: Textures, window: Window) -> None:
        self.layout, self.textures, self.window = layout, textures, window
        self.grain = tiled(textures.grain, window.x0, window.y0, window.shape)
        self.mottle = tiled(textures.mottle, window.x0, window.y0, window.shape)

    def field(self, function: Callable[[Floats, Floats], Any], step_px: int = COARSE_PX) -> Image:
        """A smooth function of the place on every pixel, computed on a grid and interpolated."""
        x, y = self._grid(step_px)
        return self.spread(np.asarray(function(x, y)), step_px)

    def _grid(self, step_px: int) -> tuple[Floats, Floats]:
        height, width = self.window.shape
        x = self.window.x0 + step_px * np.arange(width // step_px + 2, dtype=np.float64)
        y = self.window.y0 + step_px * np.arange(height // step_px + 2, dtype=np.float64)
        return np.meshgrid(x, y)

    def spread(self, nodes: Any, step_px: int) -> Image:
        height, width = self.window.shape
        scale = 1 / step_px
        to_nodes = np.array([[scale, 0, scale / 2], [0, scale, scale / 2]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(np.asarray(nodes, np.float32), to_nodes, (width, height), flags=flags))

    def _periodic(self, nodes: Floats) -> Image:
        """A coordinate on every pixel, less whole periods: so float32 is fine enough anywhere on the slide."""
        return self.spread(nodes - np.floor(nodes[0, 0] / FIBRE_PERIOD_PX) * FIBRE_PERIOD_PX, COARSE_PX)

    def paint(self) -> Stains:
        """The stains of the ground, as if tissue were everywhere."""
        shape = self.window.shape
        haematoxylin, eosin = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        if self.layout.is_bare(self.window):
            return haematoxylin, eosin
        kinds, _ = self.layout.kind(*self._grid(COARSE_PX))
        stroma = self._collagen()
        painters = {Tissue.TUMOUR: lambda: self._tumour(stroma), Tissue.LYMPHOID: self._lymphoid,
                    Tissue.MUSCLE: self._muscle, Tissue.FAT: self._fat}  # fmt: skip
        for kind in Tissue:
            if (kinds == kind).any():
                weight = self.spread(kinds == kind, COARSE_PX)
                h, e = painters[kind]() if kind in painters else stroma
                haematoxylin += weight * h
                eosin += weight * e
        return haematoxylin, eosin

    def _collagen(self) -> Stains:
        u, v = self.layout.collagen(*self._grid(COARSE_PX))
        fibres = sampled(self.textures.fibres, self._periodic(u), self._periodic(v))
        bundles = sampled(self.textures.bundles, self._periodic(0.8 * u), self._periodic(0.8 * v))
        loose = self.field(lambda x, y: value_noise(self.layout.seed, 180, x, y, 190))
        packed = 0.55 * fibres + 0.75 * bundles - 0.55 * loose
        body = 0.16 + 0.84 * smoothstep(-1.35, -0.35, packed)
        eosin = (0.40 + 0.07 * fibres + 0.08 * bundles + 0.03 * self.grain) * body
        return (0.05 + 0.012 * self.mottle) * body, eosin

    def _tumour(self, stroma: Stains) -> Stains:
        nest = self.field(self.layout.nest)
        inside = smoothstep(-0.03, 0.04, nest)
        torn = 1 - 0.55 * np.exp(-(((nest + 0.05) / 0.03) ** 2))  # nests shrink away from their stroma
        h = 0.15 + 0.025 * self.mottle + 0.02 * self.grain
        membranes = np.exp(-((self.mottle / 0.14) ** 2))  # where noise crosses zero: a net of thin lines
        e = 0.30 + 0.05 * self.mottle + 0.03 * self.grain + 0.07 * membranes
        return torn * (inside * h + (1 - inside) * stroma[0]), torn * (inside * e + (1 - inside) * stroma[1])

    def _lymphoid(self) -> Stains:
        body = 0.45 + 0.55 * smoothstep(-1.2, 0.2, self.mottle + 0.3 * self.grain)
        return (0.13 + 0.03 * self.grain) * body, (0.21 + 0.03 * self.grain) * body

    def _muscle(self) -> Stains:
        u, v = (self._periodic(c) for c in self.layout.muscle(*self._grid(COARSE_PX)))
        steps = len(self.textures.muscle)
        row = self.textures.muscle[np.mod(v * MUSCLE_STEPS_PER_PX, steps).astype(np.int32) % steps]
        edge, tone = np.abs(row[..., 0]), row[..., 1]
        body = 0.22 + 0.78 * smoothstep(0.4, 2.4, edge + 0.5 * self.grain)
        strands = sampled(self.textures.fibres, u, v)
        stripes = 0.028 * np.sin(u * np.float32(2 * np.pi * STRIPES / FIBRE_PERIOD_PX))
        eosin = (0.52 + 0.14 * (tone - 0.5) + 0.035 * strands + stripes + 0.02 * self.grain) * body
        return (0.075 + 0.01 * self.grain) * body, eosin

    def _fat(self) -> Stains:
        wall = self._fat_walls()
        return 0.03 * wall, (0.36 + 0.05 * self.grain) * wall

    def _fat_walls(self) -> Image:
        """1 on the walls between fat cells: the ridges of a Voronoi diagram, drawn straight and then warped."""
        pad = 24
        wx, wy = (self.spread(c, COARSE_PX) for c in fat.warp(self.layout.seed, *self._grid(COARSE_PX)))
        area = self.window.grown(pad)
        x, y = fat.points_near(self.layout.seed, self.window)
        tears = fat.tear_of(self.layout.seed, x, y)
        diagram = Voronoi(np.c_[x - area.x0, y - area.y0])
        between = tears[diagram.ridge_points]
        whole = (between[:, 0] != between[:, 1]) | (between[:, 0] == fat.NO_TEAR)
        ridges = [diagram.vertices[r] for r, w in zip(diagram.ridge_vertices, whole, strict=True) if w and min(r) >= 0]
        canvas = np.zeros(area.shape, np.uint8)
        lines = [np.round(r * 16).astype(np.int32) for r in ridges if np.abs(r).max() < 2**24]
        cv2.polylines(canvas, lines, False, 255, thickness=2, lineType=cv2.LINE_AA, shift=4)
        straight = cv2.GaussianBlur(canvas, (0, 0), 1.3).astype(np.float32) / 255
        warped = cv2.remap(straight, wx - np.float32(area.x0), wy - np.float32(area.y0), cv2.INTER_LINEAR)
        return np.asarray(smoothstep(0.12, 0.42, warped + 0.025 * self.mottle), np.float32)
