"""Red cells lie beneath nuclei, are red, and are painted in stained images only."""

from __future__ import annotations

import numpy as np
import pytest

from morula.training.augment import Augmentation, view
from morula.training.red_cells import with_red_cells

PINK = np.full((96, 96, 3), (235, 190, 215), np.uint8)
INSIDE = np.zeros((96, 96), np.float32)
INSIDE[30:60, 30:60] = 1


def test_they_are_red_and_leave_nuclei_as_they_are() -> None:
    for seed in range(20):
        painted = with_red_cells(PINK, INSIDE, np.random.default_rng(seed)).astype(int)
        changed = np.abs(painted - PINK).max(axis=2) > 12
        assert changed.any()
        assert not changed[INSIDE > 0].any()
        red, green, blue = painted[changed].mean(axis=0)
        assert red > blue + 15 > green


@pytest.mark.parametrize("is_light", [True, False])
def test_only_stained_images_get_them(is_light: bool) -> None:
    grain = np.random.default_rng(0).integers(-20, 20, PINK.shape)
    light = np.clip(PINK + grain, 0, 255).astype(np.uint8)
    pixels = light if is_light else 255 - light
    flows = np.zeros((*INSIDE.shape, 2), np.int8)
    without, painted = (
        view(
            pixels, INSIDE.astype(np.int32), flows, pixels.reshape(-1, 3), 64,
            Augmentation(red_cells_p=p), np.random.default_rng(1),
        ).planes
        for p in (0.0, 1.0)
    )  # fmt: skip
    assert np.array_equal(without, painted) != is_light


def test_they_keep_their_colour() -> None:
    grain = np.random.default_rng(0).integers(-20, 20, PINK.shape)
    pixels = np.clip(PINK + grain, 0, 255).astype(np.uint8)
    flows = np.zeros((*INSIDE.shape, 2), np.int8)
    gray, painted = (
        view(
            pixels, INSIDE.astype(np.int32), flows, pixels.reshape(-1, 3), 64,
            Augmentation(red_cells_p=p, gray_p=1.0, invert_p=1.0, noise_p=0.0), np.random.default_rng(2),
        ).planes
        for p in (0.0, 1.0)
    )  # fmt: skip
    assert np.ptp(gray - gray.mean(axis=(1, 2), keepdims=True), axis=0).max() < 0.2
    assert np.ptp(painted - painted.mean(axis=(1, 2), keepdims=True), axis=0).max() > 0.5
