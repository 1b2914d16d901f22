"""Tissue, ink and sums in compiled loops against OpenCV's and numpy's own."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morula.common.testing import draw_tissue
from morula.tiler.artefacts import INKS, pen_mask
from morula.tiler.planes import count_outside, sum_colours
from morula.tiler.slide import Pixels
from morula.tiler.tissue import Illumination, Mask, TissueRule


def noise(seed: int, height: int, width: int, low: int = 0, high: int = 256) -> Pixels:
    return np.random.default_rng(seed).integers(low, high, (height, width, 3), np.uint8)


def plain_tissue(rule: TissueRule, pixels: Pixels) -> Mask:
    return np.asarray(cv2.medianBlur(rule.contrast(pixels), 3) > rule.threshold)


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from(("bright", "dark")),
    st.floats(0, 255),
    st.floats(0, 40),
)
@settings(max_examples=150, deadline=None)
def test_tissue_is_where_the_median_contrast_is_above_the_threshold(
    seed: int, height: int, width: int, illumination: Illumination, background: float, threshold: float
) -> None:
    rule = TissueRule(illumination, background, threshold)
    for low, high in ((0, 256), (0, 30), (int(background) // 2, int(background) + 1)):
        pixels = noise(seed, height, width, low, high)
        assert np.array_equal(rule.mask(pixels), plain_tissue(rule, pixels))


def test_of_a_picture_some_is_tissue() -> None:
    rule, picture = TissueRule("bright", 243.4, 17.0), draw_tissue(700, 500, 3)[0]
    assert np.array_equal(rule.mask(picture), plain_tissue(rule, picture))
    assert 0.1 < rule.mask(picture).mean() < 0.99


@pytest.mark.parametrize("red", range(0, 256, 8))
def test_of_every_colour_it_is_known_whether_it_is_ink(red: int) -> None:
    colours = np.stack(np.meshgrid(np.arange(red, red + 8), np.arange(256), np.arange(256), indexing="ij"), axis=-1)
    pixels = colours.reshape(-1, 256, 3).astype(np.uint8)
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
    ink = np.bitwise_or.reduce([np.asarray(cv2.inRange(hsv, low, high)) for low, high in INKS.astype(float)]) > 0
    assert np.array_equal(pen_mask(pixels), ink)
    assert ink.any()
    assert not ink.all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 600), st.integers(1, 30), st.integers(0, 255), st.integers(0, 255))
@settings(max_examples=60, deadline=None)
def test_sums_are_numpys(seed: int, height: int, width: int, low: int, high: int) -> None:
    pixels = noise(seed, height, width)
    assert np.array_equal(sum_colours(pixels.reshape(height, -1)), pixels.sum(axis=(0, 1)))
    grey = pixels[..., 0]
    assert count_outside(grey, low, high) == (np.count_nonzero(grey < low), np.count_nonzero(grey > high))


def test_sums_of_the_lightest_and_of_many_rows_do_not_overflow() -> None:
    rows = np.full((1030, 3), 255, np.uint8)
    assert sum_colours(rows).tolist() == [1030 * 255] * 3
    assert count_outside(rows, 255, 254) == (0, rows.size)
    assert count_outside(np.zeros_like(rows), 1, 255) == (rows.size, 0)
