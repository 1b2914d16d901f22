"""Red blood cells painted between nuclei: dark, round, as large as nuclei, and few images to learn from have them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator

# Optical density of green, and what red and blue have of it: from pale pink to a dark orange, and never the brown of
# diaminobenzidine, in which nuclei are to be found.
_GREEN, _RED, _BLUE = (0.22, 0.55), (0.08, 0.3), (0.65, 1.0)
_COUNTS = (4, 200)
_DIAMETERS_PX = (9.0, 24.0)
_SUBPIXEL_BITS = 4


def with_red_cells(crop: NDArray[np.uint8], inside: NDArray[np.float32], rng: Rng) -> NDArray[np.uint8]:
    """The crop with a heap of red cells beneath its nuclei, which lie in `inside`; some lie alone."""
    height, width = inside.shape
    count = int(np.exp(rng.uniform(*np.log(_COUNTS))))
    diameter = rng.uniform(*_DIAMETERS_PX)
    heap, spread = rng.uniform(0, (width, height)), rng.uniform(0.1, 0.6) * width
    places = np.where(
        rng.random((count, 1)) < 0.8, rng.normal(heap, spread, (count, 2)), rng.uniform(0, (width, height), (count, 2))
    )
    density = rng.uniform(*_GREEN) * np.array([rng.uniform(*_RED), 1.0, rng.uniform(*_BLUE)])
    hollow = rng.uniform(0, 0.5)
    amount = np.zeros((height, width), np.float32)
    for place in places:
        _lay(amount, place, diameter * np.exp(rng.normal(0, 0.15)), hollow, rng)
    amount = np.asarray(cv2.GaussianBlur(amount, (0, 0), rng.uniform(0.5, 1.1)), np.float32)
    amount = (amount * (1 - inside))[..., None]
    beneath = -np.log10((crop.astype(np.float32) + 1) / 256)
    seen = beneath * (1 - 0.85 * np.minimum(amount, 1)) + density.astype(np.float32) * amount
    return np.asarray(np.clip(256 * 10**-seen - 1, 0, 255), np.uint8)


def _lay(amount: NDArray[np.float32], place: NDArray[np.float64], diameter_px: float, hollow: float, rng: Rng) -> None:
    """One cell: a dented ellipse, dark at its edge and thinner in its middle, over what is there."""
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    radii = diameter_px / 2 * (1 + rng.normal(0, 0.07, angles.size))
    squeeze, turn = rng.uniform(0.6, 1.0), rng.uniform(0, np.pi)
    ring = np.column_stack([radii * np.cos(angles), squeeze * radii * np.sin(angles)])
    ring = ring @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    strength = float(np.clip(rng.normal(1, 0.12), 0.5, 1.4))
    for scale, filled in ((1.0, 1.2 * strength), (0.82, strength), (0.5, strength * (1 - hollow))):
        points = np.round((place + scale * ring) * 2**_SUBPIXEL_BITS).astype(np.int32)
        cv2.fillPoly(amount, [points], filled, cv2.LINE_AA, _SUBPIXEL_BITS)
