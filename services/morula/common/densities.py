"""From light to how much of each stain a pixel holds."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from morula.common.errors import InvalidArgument
from morula.common.stain import FIXED_STAIN_MATRIX

# Of the angle between two stains that can still be told apart.
_LEAST_SINE = 0.02

# Density of each 8-bit value against a white of 255; +1 keeps black finite.
_DENSITY = (-np.log10((np.arange(256) + 1) / 256)).astype(np.float32)


def optical_density(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Optical density of red, green and blue."""
    return np.asarray(cv2.LUT(pixels, _DENSITY), np.float32)


def unmix(density: NDArray[np.float32], stain_matrix: Sequence[float]) -> NDArray[np.float32]:
    """Haematoxylin, the other stain and what neither explains, per pixel of an optical density.

    `stain_matrix` is six numbers, rows haematoxylin and eosin (or DAB); empty or all zero takes the fixed one.
    """
    stains = np.asarray(stain_matrix if any(stain_matrix) else FIXED_STAIN_MATRIX, np.float64).reshape(2, 3)
    rest = np.cross(stains[0], stains[1])
    length = float(np.linalg.norm(rest))
    if not length > _LEAST_SINE:
        raise InvalidArgument("both stains of the stain matrix are the same colour")
    mixing = np.vstack([stains, rest / length])
    return np.asarray(cv2.transform(density, np.linalg.inv(mixing).T.astype(np.float32)), np.float32)
