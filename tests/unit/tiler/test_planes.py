"""Tissue, ink and sums in compiled loops against OpenCV's and numpy's own."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morula.common.testing import draw_tissue
from morula.tiler.artefacts import INKS, pen_mask
from morula.tiler.planes import count_outside, shrink, write_grey
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


def every_colour(red: int) -> Pixels:
    """All with so much red, or up to seven more."""
    colours = np.stack(np.meshgrid(np.arange(red, red + 8), np.arange(256), np.arange(256), indexing="ij"), axis=-1)
    return colours.reshape(-1, 256, 3).astype(np.uint8)


@pytest.mark.parametrize("red", range(0, 256, 8))
def test_every_colour_has_opencvs_grey_level(red: int) -> None:
    pixels = every_colour(red)
    grey = np.zeros((len(pixels) + 3, 263), np.uint8)
    write_grey(pixels, grey, 7, 2)
    assert np.array_equal(grey[2:-1, 7:], cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))
    assert not grey[:2].any()
    assert not grey[-1].any()
    assert not grey[:, :7].any()


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 70))
@settings(max_examples=60, deadline=None)
def test_pictures_of_any_size_have_opencvs_grey_levels(seed: int, height: int, width: int) -> None:
    pixels, grey = noise(seed, height, width), np.zeros((height, width), np.uint8)
    write_grey(pixels, grey, 0, 0)
    assert np.array_equal(grey, cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))


@pytest.mark.parametrize("red", range(0, 256, 8))
def test_of_every_colour_it_is_known_whether_it_is_ink(red: int) -> None:
    pixels = every_colour(red)
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
    ink = np.bitwise_or.reduce([np.asarray(cv2.inRange(hsv, low, high)) for low, high in INKS.astype(float)]) > 0
    assert np.array_equal(pen_mask(pixels), ink)
    assert ink.any()
    assert not ink.all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 140), st.integers(1, 90))
@settings(max_examples=60, deadline=None)
def test_a_quarter_of_the_scale_is_half_of_the_half(seed: int, quarter_height: int, quarter_width: int) -> None:
    pixels = noise(seed, 4 * quarter_height, 4 * quarter_width)
    half = cv2.resize(pixels, (2 * quarter_width, 2 * quarter_height), interpolation=cv2.INTER_AREA)
    quarter = cv2.resize(half, (quarter_width, quarter_height), interpolation=cv2.INTER_AREA)
    small = np.zeros((quarter_height + 3, quarter_width + 5, 3), np.uint8)
    assert np.array_equal(shrink(pixels, small, 4, 2), pixels.sum(axis=(0, 1)))
    assert np.array_equal(small[2:-1, 4:-1], quarter.reshape(quarter_height, quarter_width, 3))
    small[2:-1, 4:-1] = 0
    assert not small.any()


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_what_is_no_multiple_of_four_goes_on_as_it_ends(seed: int, height: int, width: int) -> None:
    pixels = noise(seed, height, width)
    whole = np.pad(pixels, ((0, -height % 4), (0, -width % 4), (0, 0)), mode="edge")
    small, expected = (np.zeros((-(-height // 4), -(-width // 4), 3), np.uint8) for _ in range(2))
    assert np.array_equal(shrink(pixels, small, 0, 0), pixels.sum(axis=(0, 1)))
    shrink(whole, expected, 0, 0)
    assert np.array_equal(small, expected)


@given(st.integers(0, 2**32 - 1), st.integers(1, 600), st.integers(1, 30), st.integers(0, 255), st.integers(0, 255))
@settings(max_examples=60, deadline=None)
def test_counts_are_numpys(seed: int, height: int, width: int, low: int, high: int) -> None:
    grey = noise(seed, height, width)[..., 0]
    assert count_outside(grey, low, high) == (np.count_nonzero(grey < low), np.count_nonzero(grey > high))


def test_the_lightest_and_many_rows_do_not_overflow() -> None:
    pixels = np.full((1030, 3, 3), 255, np.uint8)
    small = np.zeros((258, 1, 3), np.uint8)
    assert shrink(pixels, small, 0, 0).tolist() == [1030 * 3 * 255] * 3
    assert (small == 255).all()
    grey = np.ascontiguousarray(pixels[..., 0])
    assert count_outside(grey, 255, 254) == (0, grey.size)
    assert count_outside(np.zeros_like(grey), 1, 255) == (grey.size, 0)
