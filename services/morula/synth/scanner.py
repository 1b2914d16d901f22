"""Light through the stains, a scanner's eye, a file's colours."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from morula.synth.noise import uniform
from morula.synth.splits import Range, split_of
from morula.synth.textures import Image

HAEMATOXYLIN = np.array([0.5626, 0.7201, 0.4062])
EOSIN = np.array([0.2159, 0.8012, 0.5581])
_TO_BLUE = np.array([1.0, 0.0, -1.0])  # more red taken away, less blue
DEFOCUS_STEPS_PX = (0.0, 1.5, 3.0, 6.0)


@dataclass(frozen=True)
class Scanner:
    """How strongly this slide is stained, and how it is seen."""

    optical_density: NDArray[np.float32]  # (stain, rgb) per unit of stain
    glass: NDArray[np.float32]
    blur_px: float
    noise: float

    @classmethod
    def of(cls, seed: int) -> "Scanner":
        draw, split = uniform(seed, 110, np.arange(16)), split_of(seed)
        vectors = np.stack([HAEMATOXYLIN, EOSIN]) + 0.05 * (draw[:6].reshape(2, 3) - 0.5)
        vectors[0] += _within(split.hue, draw[14]) * _TO_BLUE
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        strength = np.array([_within(split.haematoxylin, draw[6]), _within(split.eosin, draw[7])])[:, None]
        glass = 240 + 5 * draw[13] + 3 * draw[8:11]
        return cls(
            (vectors * strength).astype(np.float32), glass.astype(np.float32), 0.6 + 0.2 * draw[11], 1.3 + draw[12]
        )

    def light(self, haematoxylin: Image, eosin: Image) -> Image:
        """What passes the stains (Beer and Lambert)."""
        rgb = np.empty((*haematoxylin.shape, 3), np.float32)
        for channel in range(3):
            density = haematoxylin * self.optical_density[0, channel] + eosin * self.optical_density[1, channel]
            rgb[..., channel] = self.glass[channel] * np.exp(density * np.float32(-np.log(10)))
        return rgb

    def see(self, light: Image, rng: np.random.Generator, zoom: int = 1) -> NDArray[np.uint8]:
        """Light through the lens onto the sensor, with `zoom` pixels to each of the light's.

        An objective resolves 0.4 um: pixels finer than that show nothing more, only smaller.
        """
        if zoom > 1:
            light = np.asarray(cv2.resize(light, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR), np.float32)
        seen = cv2.GaussianBlur(light, (0, 0), self.blur_px * zoom)
        grainy = seen + self.noise * rng.standard_normal(seen.shape, np.float32)
        return np.clip(np.round(grainy), 0, 255).astype(np.uint8)


def defocused(light: Image, sigma_px: Image) -> Image:
    """Each pixel as blurred as `sigma_px` says: between two of a few blurs of the whole."""
    blurs = [light, *(cv2.GaussianBlur(light, (0, 0), sigma) for sigma in DEFOCUS_STEPS_PX[1:])]
    place = np.interp(sigma_px, DEFOCUS_STEPS_PX, range(len(blurs))).astype(np.float32)[..., None]
    weights = [np.maximum(0, 1 - np.abs(place - step)) for step in range(len(blurs))]
    return np.asarray(sum(weight * blur for weight, blur in zip(weights, blurs, strict=True)), np.float32)


def _within(span: Range, share: float) -> float:
    return span[0] + (span[1] - span[0]) * share
