"""Objects without texture keep their place and their colour, and flows and masks stay what they were."""

from __future__ import annotations

import numpy as np

from morula.training.augment import Augmentation, view
from morula.training.smooth import smoothed

LABELS = np.zeros((96, 96), np.int32)
LABELS[20:40, 20:40], LABELS[50:80, 50:80] = 1, 700
GRAIN = np.random.default_rng(0).integers(-30, 30, (96, 96, 3))
PIXELS = (np.where(LABELS == 1, 90, np.where(LABELS == 700, 130, 200))[..., None] + GRAIN).astype(np.uint8)


def test_each_object_has_its_own_mean_colour_and_no_texture() -> None:
    is_smooth_between = set()
    for seed in range(12):
        drawn = smoothed(PIXELS, LABELS, np.random.default_rng(seed)).astype(int)
        for number, inside in ((1, np.s_[24:36, 24:36]), (700, np.s_[54:76, 54:76])):
            assert drawn[inside].std(axis=(0, 1)).max() < 1
            assert np.abs(drawn[inside].mean(axis=(0, 1)) - PIXELS[number == LABELS].mean(axis=0)).max() < 1
        is_smooth_between.add(bool(drawn[85:, :15].std() < 8))
    assert is_smooth_between == {True, False}


def test_only_pixels_are_changed() -> None:
    flows = np.zeros((*LABELS.shape, 2), np.int8)
    flows[LABELS > 0] = (90, -90)
    plain, smooth = (
        view(PIXELS, LABELS, flows, PIXELS.reshape(-1, 3), 64, Augmentation(smooth_p=p), np.random.default_rng(1))
        for p in (0.0, 1.0)
    )
    assert np.array_equal(plain.flow, smooth.flow)
    assert np.array_equal(plain.inside, smooth.inside)
    assert not np.array_equal(plain.planes, smooth.planes)
