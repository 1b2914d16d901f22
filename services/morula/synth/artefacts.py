"""What goes wrong between knife and scanner: pen on the glass, folds in the section, fields out of focus."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import shapely

from morula.synth.noise import Floats, Window, fractal, uniform
from morula.synth.scanner import DEFOCUS_STEPS_PX
from morula.synth.shapes import BLOB_FIELDS, Blobs, box, outlines, radial
from morula.synth.textures import Image
from morula.synth.tissue import Layout, smoothstep

FLAW = np.dtype([*BLOB_FIELDS, ("strength", "f8")])
OUTLINE_POINTS = 240
_FOLD_SHIFT_PX = 22  # from where the tissue comes that lies over itself: less than a canvas's margin
_INK_SOFT_PX = 3.0  # pen is on the cover glass, out of focus
_INKS = np.array([[1.00, 0.62, 0.12], [0.95, 0.28, 0.72], [0.95, 0.95, 0.90], [0.12, 0.85, 0.70]])  # density of rgb
_PEN, _FOLD, _BLUR, _SPOT = 300, 320, 340, 360  # streams


@dataclass(frozen=True)
class Pen:
    """One stroke."""

    outline: shapely.Polygon
    ink: Floats


@dataclass(frozen=True)
class Artefacts:
    """All of one slide; a window takes what touches it."""

    pens: tuple[Pen, ...]
    folds: Blobs
    blurs: Blobs
    frame: shapely.Polygon
    seed: int

    @classmethod
    def none(cls) -> "Artefacts":
        return cls((), np.zeros(0, FLAW), np.zeros(0, FLAW), shapely.Polygon(), 0)

    @classmethod
    def of(cls, layout: Layout) -> "Artefacts":
        size_px = layout.section_px
        count = 2 + min(6, int(size_px // 4000))
        spots = _spots_in_tissue(layout, 3 * count)
        pens = tuple(_pen(layout, place, k, size_px) for k, place in enumerate(spots[: max(1, count // 2)]))
        folds = _flaws(layout, spots[count : 2 * count], _FOLD)
        draw = _draws(layout.seed, _FOLD, len(folds))
        folds["a"] = np.minimum(size_px * (0.07 + 0.10 * draw[0]), 4000)
        folds["b"] = np.clip(size_px * (0.006 + 0.006 * draw[1]), 10, 70)
        folds["bend"] = 5 * (2 * draw[2] - 1)
        folds["strength"] = 0.7 + 0.4 * draw[4]
        blurs = _flaws(layout, spots[2 * count :], _BLUR)
        draw = _draws(layout.seed, _BLUR, len(blurs))
        blurs["a"] = np.minimum(size_px * (0.06 + 0.07 * draw[0]), 3000)
        blurs["b"] = blurs["a"] * (0.6 + 0.4 * draw[1])
        blurs["w3"] = 0.12 * np.exp(2j * np.pi * draw[2])
        blurs["strength"] = 2.5 + (DEFOCUS_STEPS_PX[-1] - 2.5) * draw[4]
        return cls(pens, folds, blurs, shapely.box(0, 0, layout.width_px, layout.height_px), layout.seed)

    def regions(self) -> list[tuple[str, shapely.Polygon]]:
        """(kind, outline on the slide) of each."""
        shapes = [("pen", pen.outline) for pen in self.pens]
        for kind, flaws in (("fold", self.folds), ("blur", self.blurs)):
            shapes += [(kind, shapely.Polygon(outline)) for outline in outlines(flaws, OUTLINE_POINTS)]
        return [(kind, part) for kind, shape in shapes for part in shapely.get_parts(shape & self.frame)]

    def fold(self, stains: tuple[Image, Image], window: Window) -> None:
        """Lay the section over itself inside the folds."""
        for flaw in self.folds:
            place, t, depth = _patch(flaw, window, 4)
            if place is not None:
                inside = smoothstep(-1.5, 1.5, depth) + 0.3 * np.exp(-(((depth - 2) / 2) ** 2)) * (t < 1.3)
                step = np.round(_FOLD_SHIFT_PX * np.array([np.sin(flaw["angle"]), np.cos(flaw["angle"])])).astype(int)
                for stain in stains:
                    other = np.roll(stain, tuple(step), axis=(0, 1))[place]
                    stain[place] += np.float32(flaw["strength"]) * inside * (0.25 * stain[place] + other)

    def defocus_px(self, window: Window) -> Image | None:
        """How far out of focus each pixel is; None where all is sharp."""
        sigma = np.zeros(window.shape, np.float32)
        for flaw in self.blurs:
            place, t, _ = _patch(flaw, window, 0.3 * flaw["a"])
            if place is not None:
                sigma[place] = np.maximum(sigma[place], flaw["strength"] * smoothstep(1.14, 0.86, t))
        for flaw in self.folds:  # what lies on top is nearer to the lens
            place, _, depth = _patch(flaw, window, 8)
            if place is not None:
                sigma[place] = np.maximum(sigma[place], 1.6 * smoothstep(-4.0, 4.0, depth))
        return sigma if sigma.any() else None

    def ink(self, light: Image, window: Window) -> None:
        """Take away what the strokes absorb."""
        frame = shapely.box(window.x0, window.y0, window.x1, window.y1)
        for number, pen in enumerate(self.pens):
            touched = pen.outline.intersection(frame)
            if touched.is_empty:
                continue
            cover = cv2.GaussianBlur(_raster(touched, window), (0, 0), _INK_SOFT_PX)
            x, y = np.meshgrid(np.arange(window.x0, window.x1, 8.0), np.arange(window.y0, window.y1, 8.0))
            streaks = 0.85 + 0.35 * fractal(self.seed, _PEN + 8 + number, x, y, 90, 3)
            amount = cover * cv2.resize(streaks.astype(np.float32), window.shape[::-1], interpolation=cv2.INTER_LINEAR)
            light *= np.exp(-np.log(10) * amount[..., None] * pen.ink.astype(np.float32))


def _draws(seed: int, stream: int, count: int) -> Floats:
    """(what for, which)"""
    return uniform(seed, stream, np.arange(8)[:, None], np.arange(count)[None, :])


def _spots_in_tissue(layout: Layout, count: int) -> Floats:
    """The first of many random places that lie well inside the section, (place, xy)."""
    share = uniform(layout.seed, _SPOT, np.arange(64 * count)[:, None], np.arange(2)[None, :])
    places = share * (layout.width_px, layout.height_px)
    depth = layout.depth(places[:, 0], places[:, 1])
    return np.asarray(places[depth > 0.35 * depth.max()][:count])


def _flaws(layout: Layout, spots: Floats, stream: int) -> Blobs:
    flaws = np.zeros(len(spots), FLAW)
    flaws["x"], flaws["y"] = spots.T
    flaws["angle"] = np.pi * _draws(layout.seed, stream, len(spots))[3]
    return flaws


def _pen(layout: Layout, place: Floats, number: int, size_px: float) -> Pen:
    """Part of a shaky ring around a place, as drawn by who wants it looked at."""
    draw = uniform(layout.seed, _PEN, number, np.arange(6))
    turn = 2 * np.pi * (draw[0] + (0.3 + 0.45 * draw[1]) * np.linspace(0, 1, 80))
    shake = 1 + 0.10 * fractal(layout.seed, _PEN + 4, 40 * turn, np.full(80, 100.0 * number), 60, 3)
    width = float(np.clip(size_px * (0.010 + 0.006 * draw[3]), 12, 350))
    radius = size_px * (0.10 + 0.10 * draw[2])
    reach = 1.2 * radius + width  # nearer to the edge than this, part of the ring would be off the glass
    x, y = np.clip(place, reach, np.array([layout.width_px, layout.height_px]) - reach)
    line = np.c_[x + radius * shake * np.cos(turn), y + 0.8 * radius * shake * np.sin(turn)]
    return Pen(shapely.linestrings(line).buffer(width), _INKS[int(len(_INKS) * draw[4])] * (0.6 + 0.8 * draw[5]))


def _patch(flaw: Any, window: Window, pad_px: float) -> tuple[tuple[slice, slice] | None, Any, Any]:
    place = box(flaw, pad_px, window.shape, window.x0, window.y0)
    if place is None:
        return None, None, None
    x = np.arange(place[1].start, place[1].stop)[None, :] + (window.x0 + 0.5)
    y = np.arange(place[0].start, place[0].stop)[:, None] + (window.y0 + 0.5)
    return place, *radial(flaw, x, y)


def _raster(shape: shapely.Geometry, window: Window) -> Image:
    mask = np.zeros(window.shape, np.uint8)
    for part in getattr(shape, "geoms", [shape]):
        if isinstance(part, shapely.Polygon):
            rings = [np.asarray(ring.coords) for ring in (part.exterior, *part.interiors)]
            fixed = [np.round((r - (window.x0 + 0.5, window.y0 + 0.5)) * 16).astype(np.int32) for r in rings]
            cv2.fillPoly(mask, fixed, 1, shift=4)
    return mask.astype(np.float32)
