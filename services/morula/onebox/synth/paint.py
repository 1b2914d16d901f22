"""From places and shapes to pixels: stains laid over each other, light through them, a scanner's eye."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from morula.onebox.synth.cells import PLASMA
from morula.onebox.synth.ground import FINE_PX, Ground
from morula.onebox.synth.noise import Window, fractal, uniform
from morula.onebox.synth.shapes import Blobs, box, radial
from morula.onebox.synth.textures import Image, Textures
from morula.onebox.synth.tissue import Layout, smoothstep

MARGIN_PX = 32  # painted around a block so that blur and seams do not show
HAEMATOXYLIN = np.array([0.5626, 0.7201, 0.4062])
EOSIN = np.array([0.2159, 0.8012, 0.5581])


@dataclass(frozen=True)
class Scanner:
    """How strongly this slide is stained, and how it is seen."""

    optical_density: NDArray[np.float32]  # (stain, rgb) per unit of stain
    glass: NDArray[np.float32]
    blur_px: float
    noise: float

    @classmethod
    def of(cls, seed: int) -> "Scanner":
        draw = uniform(seed, 110, np.arange(16))
        vectors = np.stack([HAEMATOXYLIN, EOSIN]) + 0.05 * (draw[:6].reshape(2, 3) - 0.5)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        strength = np.array([0.86 + 0.28 * draw[6], 0.80 + 0.34 * draw[7]])[:, None]
        glass = 240 + 6 * draw[8:11]
        return cls(
            (vectors * strength).astype(np.float32), glass.astype(np.float32), 0.6 + 0.2 * draw[11], 1.3 + draw[12]
        )

    def see(self, haematoxylin: Image, eosin: Image, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Light through the stains (Beer and Lambert), blurred and noisy."""
        rgb = np.empty((*haematoxylin.shape, 3), np.float32)
        for channel in range(3):
            density = haematoxylin * self.optical_density[0, channel] + eosin * self.optical_density[1, channel]
            rgb[..., channel] = self.glass[channel] * np.exp(density * np.float32(-np.log(10)))
        rgb = cv2.GaussianBlur(rgb, (0, 0), self.blur_px)
        grainy = rgb + self.noise * rng.standard_normal(rgb.shape, np.float32)
        return np.clip(np.round(grainy), 0, 255).astype(np.uint8)


class Canvas:
    """One window's stains and instances."""

    def __init__(self, layout: Layout, textures: Textures, window: Window) -> None:
        self.window, self._textures = window, textures
        self.ground = Ground(layout, textures, window)
        self.haematoxylin, self.eosin = self.ground.paint()
        self.instances = np.zeros(window.shape, np.uint32)
        self._layout = layout

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

    def gland(self, gland: Any) -> None:
        patch = self._patch(gland, 4)
        if patch is None:
            return
        place, _, depth = patch
        mottle, grain = self.ground.mottle[place], self.ground.grain[place]
        toward_lumen = np.clip(depth / gland["wall"], 0, 1)
        purple = 0.22 if gland["atypical"] else 0.15
        h = purple - 0.07 * toward_lumen + 0.02 * mottle + 0.015 * grain
        e = 0.27 + 0.12 * toward_lumen + 0.05 * mottle + 0.03 * grain
        self.eosin[place] += 0.16 * np.exp(-(((depth + 1.5) / 1.6) ** 2))  # basement membrane
        self._lay(place, smoothstep(-1.0, 1.0, depth), h, e)
        lumen = smoothstep(-1.5, 1.5, depth - gland["wall"] + 2.2 * mottle)
        secretion = 0.16 * max(0.0, gland["key"] - 0.4) * (1 + smoothstep(-0.5, 1.0, mottle))
        self._lay(place, lumen, 0.3 * secretion, secretion)

    def vessel(self, vessel: Any) -> None:
        patch = self._patch(vessel, 4)
        if patch is None:
            return
        place, _, depth = patch
        mottle, grain = self.ground.mottle[place], self.ground.grain[place]
        self._lay(place, smoothstep(-1.0, 1.0, depth), 0.08, 0.47 + 0.03 * grain)
        lumen = smoothstep(-1.0, 1.0, depth - vessel["wall"])
        blood = 0.62 * smoothstep(0.1, 0.5, mottle + 2.4 * (vessel["key"] - 0.45))
        self._lay(place, lumen, 0.02, blood + 0.02)

    def cytoplasm(self, cell: Any) -> None:
        """The amphophilic body of a plasma cell, its nucleus pushed to one side."""
        if cell["kind"] != PLASMA:
            return
        body = cell.copy()
        side = 4.2 * np.exp(1j * (cell["angle"] + np.pi / 2))
        body["x"], body["y"], body["a"], body["b"] = cell["x"] + side.real, cell["y"] + side.imag, 10.5, 9.0
        patch = self._patch(body, 3)
        if patch is not None:
            place, _, depth = patch
            strength = np.float32(0.8 * min(1.0, cell["cytoplasm"]))
            self._lay(place, strength * smoothstep(-1.2, 1.2, depth), 0.30 + 0.02 * self.ground.grain[place], 0.36)

    def nucleus(self, cell: Any, instance: int) -> None:
        patch = self._patch(cell, 2)
        if patch is None:
            return
        place, t, depth = patch
        texture = self._chromatin(cell["key"], t.shape)
        rim = np.exp(-(((depth - 1.0) / 1.3) ** 2))
        h = cell["tone"] * (0.70 + 0.24 * rim + cell["chromatin"] * (0.34 * texture))
        for k in range(cell["nucleoli"]):
            self._nucleolus(cell, place, h, k)
        self._lay(place, np.clip(depth + 0.5, 0, 1), np.maximum(h, 0.18), 0.16)
        free = (t < 1) & (self.instances[place] == 0)
        self.instances[place][free] = instance

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

    def rgb(self, scanner: Scanner, rng: np.random.Generator) -> NDArray[np.uint8]:
        seed = self._layout.seed
        section = smoothstep(-1.5, 1.5, self.ground.field(self._layout.depth, FINE_PX))
        thickness = 1 + 0.13 * self.ground.field(lambda x, y: fractal(seed, 90, x, y, 700, 2))
        cover = section * thickness
        return scanner.see(self.haematoxylin * cover, self.eosin * cover, rng)


def paint_window(
    layout: Layout,
    textures: Textures,
    window: Window,
    glands: Blobs,
    vessels: Blobs,
    cells: Blobs,
    names: NDArray[np.uint32],
) -> Canvas:
    """Ground, hollow things, cytoplasm and nuclei of one window; `names` are the instance numbers of `cells`."""
    canvas = Canvas(layout, textures, window)
    for gland in glands:
        canvas.gland(gland)
    for vessel in vessels:
        canvas.vessel(vessel)
    for cell in cells:
        canvas.cytoplasm(cell)
    for cell, name in zip(cells, names, strict=True):
        canvas.nucleus(cell, int(name))
    return canvas
