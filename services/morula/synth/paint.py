"""From places and shapes to stains on pixels: ground, hollow things, cytoplasm and nuclei laid over each other."""

from typing import Any

import numpy as np

from morula.synth.artefacts import Artefacts
from morula.synth.cells import PLASMA
from morula.synth.ground import FINE_PX, Ground
from morula.synth.noise import Window, fractal, uniform
from morula.synth.scanner import Scanner, defocused
from morula.synth.scene import Scene
from morula.synth.shapes import box, radial
from morula.synth.textures import Image, Textures, tiled
from morula.synth.tissue import Layout, smoothstep

NO_INSTANCE = 0
MARGIN_PX = 32  # painted around a block so that blur and seams do not show


class Canvas:
    """One window's stains and instances."""

    def __init__(self, layout: Layout, textures: Textures, window: Window) -> None:
        self.window, self._textures = window, textures
        self.ground = Ground(layout, textures, window)
        self.haematoxylin, self.eosin = self.ground.paint()
        self._blood = tiled(textures.blood, window.x0, window.y0, window.shape)
        self.instances = np.zeros(window.shape, np.uint32)
        self._layout = layout

    def draw(self, scene: Scene) -> None:
        for gland in scene.glands:
            self._gland(gland)
        for vessel in scene.vessels:
            self._vessel(vessel)
        for cell in scene.cells[scene.cells["kind"] == PLASMA]:
            self._plasma_body(cell)
        for smudge in scene.smudges:
            self._nucleus(smudge, NO_INSTANCE)
        for cell, name in zip(scene.cells, scene.names, strict=True):
            self._nucleus(cell, int(name))

    def _patch(self, blob: Any, pad_px: float) -> tuple[tuple[slice, slice], Image, Image] | None:
        """(place, t, depth) of the pixels that a blob can touch."""
        place = box(blob, pad_px, self.window.shape, self.window.x0, self.window.y0)
        if place is None:
            return None
        x = np.arange(place[1].start, place[1].stop)[None, :] + (self.window.x0 + 0.5)
        y = np.arange(place[0].start, place[0].stop)[:, None] + (self.window.y0 + 0.5)
        return place, *radial(blob, x, y)

    def _lay(self, place: tuple[slice, slice], cover: Image, haematoxylin: Any, eosin: Any) -> None:
        for stain, amount in ((self.haematoxylin, haematoxylin), (self.eosin, eosin)):
            stain[place] += cover * (amount - stain[place])

    def _gland(self, gland: Any) -> None:
        patch = self._patch(gland, 4)
        if patch is None:
            return
        place, _, depth = patch
        mottle, grain = self.ground.mottle[place], self.ground.grain[place]
        toward_lumen = np.clip(depth / gland["wall"], 0, 1)
        purple = 0.15 + 0.07 * gland["atypia"]
        h = purple - 0.07 * toward_lumen + 0.02 * mottle + 0.015 * grain
        e = 0.27 + 0.12 * toward_lumen + 0.05 * mottle + 0.03 * grain
        self.eosin[place] += 0.16 * np.exp(-(((depth + 1.5) / 1.6) ** 2))  # basement membrane
        self._lay(place, smoothstep(-1.0, 1.0, depth), h, e)
        if gland["mucous"]:
            goblet = smoothstep(0.35, 0.75, mottle) * smoothstep(0.45, 0.7, toward_lumen)
            self._lay(place, goblet, 0.07, 0.09)
        lumen = smoothstep(-1.5, 1.5, depth - gland["wall"] + 2.2 * mottle)
        secretion = 0.16 * max(0.0, gland["key"] - 0.4) * (1 + smoothstep(-0.5, 1.0, mottle))
        self._lay(place, lumen, 0.3 * secretion, secretion)

    def _vessel(self, vessel: Any) -> None:
        patch = self._patch(vessel, 4)
        if patch is None:
            return
        place, _, depth = patch
        mottle, grain = self.ground.mottle[place], self.ground.grain[place]
        self._lay(place, smoothstep(-1.0, 1.0, depth), 0.08, 0.47 + 0.03 * grain)
        lumen = smoothstep(-1.0, 1.0, depth - vessel["wall"])
        full = smoothstep(0.1, 0.5, mottle + 2.4 * (vessel["key"] - 0.4))
        self._lay(place, lumen, 0.02, 0.02 + 0.62 * full * self._blood[place])

    def _plasma_body(self, cell: Any) -> None:
        """The amphophilic body of a plasma cell, its nucleus pushed to one side."""
        body = cell.copy()
        side = 4.2 * np.exp(1j * (cell["angle"] + np.pi / 2))
        body["x"], body["y"], body["a"], body["b"] = cell["x"] + side.real, cell["y"] + side.imag, 10.5, 9.0
        patch = self._patch(body, 3)
        if patch is not None:
            place, _, depth = patch
            strength = np.float32(0.8 * min(1.0, cell["cytoplasm"]))
            self._lay(place, strength * smoothstep(-1.2, 1.2, depth), 0.30 + 0.02 * self.ground.grain[place], 0.36)

    def _nucleus(self, cell: Any, instance: int) -> None:
        patch = self._patch(cell, 2)
        if patch is None:
            return
        place, t, depth = patch
        texture = self._chromatin(cell["key"], t.shape)
        rim = np.exp(-(((depth - 1.0) / 1.3) ** 2))
        h = cell["tone"] * (0.70 + 0.24 * rim + cell["chromatin"] * (0.34 * texture))
        for k in range(cell["nucleoli"]):
            self._nucleolus(cell, place, h, k)
        self._lay(place, np.clip(depth / cell["softness"] + 0.5, 0, 1), np.maximum(h, 0.42 * cell["tone"]), 0.16)
        self.instances[place][t < 1] = instance

    def _chromatin(self, key: float, shape: tuple[int, int]) -> Image:
        atlas = self._textures.chromatin
        start = int(key * 2**30)
        top, left = start % (atlas.shape[0] - shape[0]), (start >> 12) % (atlas.shape[1] - shape[1])
        return atlas[top : top + shape[0], left : left + shape[1]]

    def _nucleolus(self, cell: Any, place: tuple[slice, slice], h: Image, k: int) -> None:
        far, way, size = uniform(int(cell["key"] * 2**40), k, np.arange(3))
        spot = 0.55 * far * np.exp(2j * np.pi * way)
        offset = (spot.real * cell["a"] + 1j * spot.imag * cell["b"]) * np.exp(1j * cell["angle"])
        x = np.arange(place[1].start, place[1].stop)[None, :] + (self.window.x0 + 0.5 - cell["x"] - offset.real)
        y = np.arange(place[0].start, place[0].stop)[:, None] + (self.window.y0 + 0.5 - cell["y"] - offset.imag)
        h += 0.5 * np.exp(-(x * x + y * y) / (1.5 + 1.2 * size) ** 2).astype(np.float32)

    def light(self, scanner: Scanner, artefacts: Artefacts) -> Image:
        """What leaves the slide, with what went wrong on its way."""
        seed = self._layout.seed
        depth = self.ground.field(self._layout.depth, FINE_PX)
        section = smoothstep(-1.5, 1.5, depth + 1.5 * self.ground.mottle)
        thickness = 1 + 0.13 * self.ground.field(lambda x, y: fractal(seed, 90, x, y, 700, 2))
        cover = section * thickness
        stains = (self.haematoxylin * cover, self.eosin * cover)
        artefacts.fold(stains, self.window)
        light = scanner.light(*stains)
        sigma_px = artefacts.defocus_px(self.window)
        if sigma_px is not None:
            light = defocused(light, sigma_px)
        artefacts.ink(light, self.window)
        return light
