"""Large slides in seconds: one painted block of tissue, repeated over a disk, its edge cut cleanly.

Painting 40 000 pixels square would take half an hour; what tiling costs depends on pixels and layout, not on which
cells are seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from morula.synth.noise import Window
from morula.synth.slide import Artist, Order

Pixels = NDArray[np.uint8]

JPEG_QUALITY = 80  # Scanners use 70 to 90.
PERIOD_TILES = 8  # Width of the block in tiles; its tiles repeat and are encoded once.
SMALLEST_PX = 512
GLASS = 243
SEED = 4_000


@dataclass(frozen=True)
class LargeSlide:
    """A slide to write: a square with a disk of tissue in its middle."""

    side_px: int
    mpp: float = 0.5
    tile_px: int = 256
    aperio: bool = False
    tissue_fraction: float = 0.3
    step: int = 4
    """How many times smaller each level is than the one before it."""

    def level_sides(self) -> list[int]:
        sides = [self.side_px]
        while sides[-1] > SMALLEST_PX:
            sides.append(-(-sides[-1] // self.step))
        return sides

    @property
    def radius_px(self) -> float:
        return self.side_px * math.sqrt(self.tissue_fraction / math.pi)


def write_large_slide(path: Path, slide: LargeSlide) -> Path:
    """Writes the slide: tiled JPEG with a pyramid, generic or as Aperio does it."""
    block, glass = _block(slide.mpp, slide.tile_px), _glass(slide.mpp, slide.tile_px)
    with tifffile.TiffWriter(path, bigtiff=slide.side_px > 30_000) as tiff:
        for number, side in enumerate(slide.level_sides()):
            per_cm = 10_000 / (slide.mpp * slide.step**number)
            tiff.write(
                _tiles(slide, number, side, block, glass),
                shape=(side, side, 3),
                dtype=np.uint8,
                tile=(slide.tile_px, slide.tile_px),
                compression="jpeg",
                photometric="ycbcr",
                subsampling=(2, 2),
                resolution=(per_cm, per_cm),
                resolutionunit="CENTIMETER",
                subfiletype=0 if slide.aperio else int(number > 0),
                description=_description(slide) if slide.aperio else None,
                metadata=None,
                software="",
            )
            if slide.aperio and number == 0:  # The second picture of an SVS file is its thumbnail, in strips.
                tiff.write(np.full((240, 240, 3), GLASS, np.uint8), photometric="rgb", metadata=None, software="")
    return path


def _description(slide: LargeSlide) -> str:
    side = slide.side_px
    scale = f"AppMag = {10 / slide.mpp:g}|MPP = {slide.mpp:g}"
    return f"Aperio Image Library v12.0.0\n{side}x{side} JPEG/YCbCr Q={JPEG_QUALITY}|{scale}"


@lru_cache(maxsize=3)
def _block(mpp: float, tile_px: int) -> Pixels:
    """Tissue from the middle of a painted slide."""
    side = PERIOD_TILES * 256
    order = Order(2 * side, 2 * side, SEED, mpp, 0.9)
    rgb = Artist(order).block(Window(side // 2, side // 2, side // 2 + side, side // 2 + side)).rgb
    return np.ascontiguousarray(rgb[: PERIOD_TILES * tile_px, : PERIOD_TILES * tile_px])


@lru_cache(maxsize=3)
def _glass(mpp: float, tile_px: int) -> Pixels:
    """What the painted scanner sees beside the tissue."""
    rgb = Artist(Order(8192, 8192, SEED, mpp, 0.01)).block(Window(0, 0, 512, 512)).rgb
    return np.ascontiguousarray(rgb[:tile_px, :tile_px])


def _tiles(slide: LargeSlide, number: int, side: int, block: Pixels, glass: Pixels) -> Iterator[bytes]:
    """Encoded tiles of one level, row by row."""
    tile_px, downsample = slide.tile_px, slide.step**number
    small = _shrunk(block, downsample)
    encoded: dict[tuple[int, int] | None, bytes] = {}
    across = -(-side // tile_px)
    for row in range(across):
        for column in range(across):
            nearest, farthest = _distances(slide, column * tile_px, row * tile_px, downsample)
            phase = (column * tile_px % len(small), row * tile_px % len(small))
            if nearest < slide.radius_px < farthest:
                tissue = _periodic(small, *phase, tile_px)
                yield _encode(np.where(_disk(slide, column, row, downsample)[..., None], tissue, glass))
                continue
            key = phase if farthest <= slide.radius_px else None
            if key not in encoded:
                encoded[key] = _encode(glass if key is None else _periodic(small, *phase, tile_px))
            yield encoded[key]


def _shrunk(block: Pixels, downsample: int) -> Pixels:
    side = max(1, len(block) // downsample)
    return np.asarray(cv2.resize(block, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def _periodic(small: Pixels, x: int, y: int, tile_px: int) -> Pixels:
    rows, columns = (np.arange(start, start + tile_px) % len(small) for start in (y, x))
    return small[rows[:, None], columns[None, :]]


def _distances(slide: LargeSlide, x: int, y: int, downsample: int) -> tuple[float, float]:
    """Of the tile's nearest and farthest point from the slide's middle, in level-0 pixels."""
    middle = slide.side_px / 2
    spans = [(start * downsample - middle, (start + slide.tile_px) * downsample - middle) for start in (x, y)]
    near = [0.0 if low <= 0 <= high else min(abs(low), abs(high)) for low, high in spans]
    return math.hypot(*near), math.hypot(*(max(abs(low), abs(high)) for low, high in spans))


def _disk(slide: LargeSlide, column: int, row: int, downsample: int) -> NDArray[np.bool_]:
    x, y = (
        (np.arange(place * slide.tile_px, (place + 1) * slide.tile_px) + 0.5) * downsample - slide.side_px / 2
        for place in (column, row)
    )
    return np.asarray(x[None, :] ** 2 + y[:, None] ** 2 < slide.radius_px**2)


def _encode(tile: Pixels) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(tile), level=JPEG_QUALITY, subsampling="420"))
