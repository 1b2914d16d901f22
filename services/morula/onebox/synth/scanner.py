"""Light through the stains, a scanner's eye, a file's colours."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from morula.onebox.synth.noise import uniform
from morula.onebox.synth.textures import Image

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
        vectors = np.stack([HAEMATOXYLIN, EOSIN]) + 0.08 * (draw[:6].reshape(2, 3) - 0.5)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        strength = np.array([0.84 + 0.32 * draw[6], 0.78 + 0.40 * draw[7]])[:, None]
        glass = 240 + 5 * draw[13] + 3 * draw[8:11]
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
