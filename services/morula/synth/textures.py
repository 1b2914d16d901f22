"""Small periodic textures, made once per slide and read at places that flows and hashes choose."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from morula.synth.muscle import across
from morula.synth.tissue import FIBRE_PERIOD_PX

Image = NDArray[np.float32]
MUSCLE_STEPS_PER_PX = 4


@dataclass(frozen=True)
class Textures:
    """Of mean 0 and deviation 1; `muscle` is rows of (distance to the edge, tone), `blood` red cells in [0, 1]."""

    fibres: Image
    bundles: Image
    grain: Image
    mottle: Image
    chromatin: Image
    muscle: Image
    blood: Image

    @classmethod
    @lru_cache(maxsize=2)
    def of(cls, seed: int) -> "Textures":
        rng = np.random.default_rng([seed, 1])
        size = FIBRE_PERIOD_PX
        places = (np.arange(size * MUSCLE_STEPS_PER_PX) + 0.5) / MUSCLE_STEPS_PER_PX
        return cls(
            fibres=_blurred(rng, size, 26, 1.0),
            bundles=_blurred(rng, size, 60, 3.6),
            grain=_blurred(rng, size, 1.1, 1.1),
            mottle=_blurred(rng, size, 4.5, 4.5),
            chromatin=_blurred(rng, 512, 1.25, 1.25),
            blood=_red_cells(rng, 128),
            muscle=np.stack(across(seed, places), axis=-1).astype(np.float32),
        )


def _blurred(rng: np.random.Generator, size_px: int, along_px: float, across_px: float) -> Image:
    pad = int(4 * max(along_px, across_px))
    noise = np.pad(rng.standard_normal((size_px, size_px), np.float32), pad, mode="wrap")
    smooth = cv2.GaussianBlur(noise, (0, 0), sigmaX=along_px, sigmaY=across_px)[pad:-pad, pad:-pad]
    return np.ascontiguousarray((smooth - smooth.mean()) / smooth.std(), np.float32)


def _red_cells(rng: np.random.Generator, size_px: int) -> Image:
    """Crowded discs, paler in the middle, as they lie in a vessel."""
    picture = np.zeros((size_px, size_px), np.float32)
    y, x = np.mgrid[:size_px, :size_px].astype(np.float32)
    for place in rng.uniform(0, size_px, (105, 2)):
        dy, dx = ((c - p + size_px / 2) % size_px - size_px / 2 for c, p in zip((y, x), place, strict=True))
        radius = np.hypot(dx, dy * 1.15)
        cell = np.clip(6.8 - radius, 0, 1) * (0.72 + 0.28 * np.clip(radius / 5, 0, 1))
        picture = np.maximum(picture, cell * (0.85 + 0.15 * rng.random()))
    return picture


def tiled(texture: Image, x0: int, y0: int, shape: tuple[int, int]) -> Image:
    """The texture as it covers a raster whose first pixel is (x0, y0)."""
    rows = np.arange(y0, y0 + shape[0]) % texture.shape[0]
    columns = np.arange(x0, x0 + shape[1]) % texture.shape[1]
    return np.asarray(texture[rows[:, None], columns[None, :]])


def sampled(texture: Image, u: Image, v: Image) -> Image:
    """The texture at coordinates (u, v), repeated without end."""
    return np.asarray(cv2.remap(texture, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.float32)
