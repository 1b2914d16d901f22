"""The compiled search for dense lines against the same in whole pictures, with OpenCV's filter and numpy."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from morula.tiler import artefacts
from morula.tiler.artefacts import (
    BESIDE_TISSUE,
    DENSITY_ERROR,
    FOLD_BLOCK_PX,
    FOLD_DENSITY,
    FOLD_REACHES_UM,
    LINE_DIRECTIONS,
    LINE_LENGTH_UM,
    LINE_TISSUE,
)

Layer = npt.NDArray[np.float32]


def plain_ratio(layers: Layer, margin: int, um_per_px: float) -> Layer:
    """Every direction over the whole picture."""
    height, width = (side - 2 * margin for side in layers.shape[1:])

    def moved(image: Layer, x: float, y: float) -> Layer:
        top, left = margin + round(y), margin + round(x)
        return image[top : top + height, left : left + width]

    best = np.zeros((height, width), np.float32)
    for angle in (math.pi * number / LINE_DIRECTIONS for number in range(LINE_DIRECTIONS)):
        *colours, share = (np.asarray(cv2.filter2D(layer, -1, drawn_line(angle, um_per_px))) for layer in layers)
        density = [colour / np.maximum(share, 1e-3) + DENSITY_ERROR for colour in colours]
        own = [moved(colour, 0, 0) for colour in density]
        is_line = (moved(share, 0, 0) > LINE_TISSUE) & (sum(own) > 3 * (FOLD_DENSITY + DENSITY_ERROR))
        sides = []
        for sign in (1, -1):
            reaches = [sign * reach_um / um_per_px for reach_um in FOLD_REACHES_UM]
            places = [(-reach * math.sin(angle), reach * math.cos(angle)) for reach in reaches]
            ratios = [
                np.min([one / moved(colour, *place) for one, colour in zip(own, density, strict=True)], axis=0)
                * (moved(share, *place) > BESIDE_TISSUE)
                for place in places
            ]
            sides.append(np.max(ratios, axis=0))
        best = np.maximum(best, np.where(is_line, np.min(sides, axis=0), 0))
    return best


def drawn_line(angle: float, um_per_px: float) -> Layer:
    reach = max(1, round(LINE_LENGTH_UM / um_per_px / 2))
    weights = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    for step in range(-reach, reach + 1):
        weights[reach + round(step * math.sin(angle)), reach + round(step * math.cos(angle))] = 1
    return weights / weights.sum()


@pytest.mark.parametrize("um_per_px", [8.1, 10.0, 12.0, 20.0, 27.0])
@pytest.mark.parametrize("shape", [(1, 1), (40, 300), (FOLD_BLOCK_PX + 30, FOLD_BLOCK_PX), (257, 513)])
def test_lines_are_as_dense_as_in_whole_pictures(um_per_px: float, shape: tuple[int, int]) -> None:
    margin = math.ceil((FOLD_REACHES_UM[-1] + LINE_LENGTH_UM) / um_per_px)
    rng = np.random.default_rng(shape[0])
    layers = np.zeros((4, shape[0] + 2 * margin, shape[1] + 2 * margin), np.float32)
    inner = layers[:, margin:-margin, margin:-margin]
    inner[3] = np.clip(cv2.GaussianBlur(rng.normal(0.8, 3, shape).astype(np.float32), (0, 0), 4), 0, 1)
    inner[3, : shape[0] // 3, : shape[1] // 2] = 0  # A part of glass.
    inner[:3] = inner[3] * rng.uniform(0.05, 0.6, (3, *shape))
    found = artefacts._ratio(layers, um_per_px)  # Masks would hide what rounding does.
    expected = plain_ratio(layers, margin, um_per_px)
    is_searched = np.zeros(shape, bool)
    for y in range(0, shape[0], FOLD_BLOCK_PX):
        for x in range(0, shape[1], FOLD_BLOCK_PX):
            block = (slice(y, y + FOLD_BLOCK_PX), slice(x, x + FOLD_BLOCK_PX))
            is_searched[block] = inner[3][block].max() > LINE_TISSUE
    assert np.mean(np.isclose(found, np.where(is_searched, expected, 0), rtol=1e-5)) > 0.9999
    assert shape == (1, 1) or (found > 1).mean() > 0.01
