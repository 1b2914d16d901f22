"""What networks see: scaled by tables, equal to the stock normalisation."""

from typing import get_args

import numpy as np
import pytest

from morula.common.errors import InvalidArgument
from morula.common.segmentation import Channel
from morula.segmenter.channels import planes
from morula.segmenter.instances import Calibration
from tests.servers.require import networks

networks()
from cellpose import transforms  # noqa: E402 - only where it is installed

RGB = ("red", "green", "blue")
NOTHING = Calibration()


def picture(kind: type = np.uint8, seed: int = 0) -> np.ndarray:
    top = np.iinfo(kind).max
    return (np.random.default_rng(seed).beta(3, 2, (61, 83, 3)) * top).astype(kind)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_an_image_by_its_own_percentiles_is_the_stock_one(kind: type) -> None:
    pixels = picture(kind)
    stock = transforms.normalize_img(pixels.astype(np.float32))
    ours = np.moveaxis(planes(pixels, RGB, NOTHING, "image"), 0, -1)
    assert np.abs(ours - stock).max() < 1e-6


def test_every_channel_that_may_be_asked_for_is_there() -> None:
    shown = planes(picture(), get_args(Channel), NOTHING, "image")
    assert len({plane.tobytes() for plane in shown}) == len(get_args(Channel))


def test_gray_and_its_inverse() -> None:
    pixels = picture()
    gray = pixels.mean(axis=2, keepdims=True).astype(np.float32)
    stock = transforms.normalize_img(np.repeat(gray, 3, axis=2))[..., 0]
    ours, inverse, empty = planes(pixels, ("gray", "inverted_gray", "none"), NOTHING, "image")
    assert np.abs(ours - stock).max() < 1e-6
    assert np.allclose(inverse, 1 - ours)
    assert not empty.any()


def test_the_slide_says_what_is_dark_and_bright() -> None:
    calibration = Calibration(low=(10, 20, 30), high=(110, 220, 230))
    pixels = np.array([[[10, 220, 130]]], np.uint8)
    assert planes(pixels, RGB, calibration, "slide").ravel().tolist() == [0, 1, 0.5]
    assert planes(pixels, ("gray",), calibration, "slide").ravel() == pytest.approx([(120 - 20) / (560 / 3 - 20)])
    assert planes(pixels, ("fluorescence",), calibration, "slide").ravel() == pytest.approx([(220 - 30) / 200])


def test_haematoxylin_is_high_where_it_is() -> None:
    pixels = np.full((8, 8, 3), 240, np.uint8)
    pixels[2:4, 2:4] = (70, 50, 140)
    pixels[5:7, 5:7] = (230, 120, 190)
    (plane,) = planes(pixels, ("haematoxylin",), NOTHING, "image")
    assert plane[2, 2] > plane[5, 5] + 0.3
    (plane,) = planes(pixels, ("haematoxylin",), Calibration((70, 50, 140), (240, 240, 240)), "slide")
    assert plane[2, 2] == pytest.approx(1, abs=0.05)
    assert plane[0, 0] == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_one_colour_shows_nothing(shade: int) -> None:
    pixels = np.full((9, 9, 3), shade, np.uint8)
    assert not planes(pixels, (*RGB, "gray", "haematoxylin", "fluorescence"), NOTHING, "image").any()


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((4, 4, 3), np.nan, np.float32),
        np.zeros((4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.int64),
        np.zeros((4, 4, 3), complex),
    ],
)
def test_what_is_no_image_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(InvalidArgument):
        planes(pixels, RGB, NOTHING, "image")


def test_an_unknown_channel_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="infrared"):
        planes(picture(), ("infrared",), NOTHING, "image")
