"""Stains: their words, and from light to how much of each a pixel holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from morula.common.errors import InvalidArgument

Stain = Literal["H&E", "IHC", "fluorescence", "other"]
"""What a slide is stained with. IHC is haematoxylin and diaminobenzidine (DAB); others let light through."""
STAINS: tuple[Stain, ...] = get_args(Stain)


def _plain(word: str) -> str:
    return word.lower().replace("&", "").replace(" ", "")


STAIN_WORDS: Mapping[str, Stain] = {_plain(stain): stain for stain in STAINS}
"""As people may type them: a shell takes an ampersand for itself."""


def stain_called(word: str) -> Stain | None:
    """The stain that is meant; None where there is none of this name."""
    return STAIN_WORDS.get(_plain(word))


# Ruifrok and Johnston's vectors, unit length.
_HAEMATOXYLIN = (0.6500, 0.7041, 0.2860)
_EOSIN = (0.0704, 0.9914, 0.1109)
_DAB = (0.2681, 0.5703, 0.7764)

# What is assumed where a slide's own stains make no sense.
FIXED_STAIN_MATRIX: tuple[float, ...] = (*_HAEMATOXYLIN, *_EOSIN)
FIXED_IHC_MATRIX: tuple[float, ...] = (*_HAEMATOXYLIN, *_DAB)


@dataclass(frozen=True)
class Staining:
    """What is known of a slide's stain: its word, and the colours of its two stains (see `unmix`) where it has them."""

    stain: Stain | None = None
    matrix: Sequence[float] = ()


# Of the angle between two stains that can still be told apart.
_LEAST_SINE = 0.02

# Density of each 8-bit value against a white of 255; +1 keeps black finite.
_DENSITY = (-np.log10((np.arange(256) + 1) / 256)).astype(np.float32)


def fixed_matrix(stain: Stain | None) -> tuple[float, ...]:
    """The usual colours of haematoxylin and the other stain: eosin unless it is IHC."""
    return FIXED_IHC_MATRIX if stain == "IHC" else FIXED_STAIN_MATRIX


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
