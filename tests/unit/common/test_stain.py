"""Optical density and unmixing, which embedder, segmenter and tiler share."""

from __future__ import annotations

import numpy as np
import pytest

from morula.common.densities import optical_density, unmix
from morula.common.errors import InvalidArgument
from morula.common.stain import FIXED_STAIN_MATRIX, Stain, stain_called


def test_white_has_no_density_and_black_a_finite_one() -> None:
    density = optical_density(np.array([[[255, 255, 255], [0, 0, 0]]], np.uint8))
    assert density[0, 0] == pytest.approx([0, 0, 0])
    assert density[0, 1] == pytest.approx([2.408] * 3, abs=1e-3)


@pytest.mark.parametrize("stains", [FIXED_STAIN_MATRIX, (0.57, 0.78, 0.25, 0.17, 0.98, 0.12)])
def test_mixed_stains_come_apart(stains: tuple[float, ...]) -> None:
    amounts = np.array([[[0.9, 0.2, 0.0], [0.0, 0.7, 0.0]]], np.float32)
    mixed = (amounts[..., :2] @ np.reshape(stains, (2, 3))).astype(np.float32)
    assert unmix(mixed, stains) == pytest.approx(amounts, abs=1e-4)


def test_no_stains_are_the_fixed_ones() -> None:
    density = np.full((1, 1, 3), 0.5, np.float32)
    assert np.array_equal(unmix(density, ()), unmix(density, FIXED_STAIN_MATRIX))


def test_two_stains_of_one_colour_are_refused() -> None:
    with pytest.raises(InvalidArgument):
        unmix(np.zeros((1, 1, 3), np.float32), (0.6, 0.7, 0.3, 0.6, 0.7, 0.3))


@pytest.mark.parametrize(
    ("word", "stain"),
    [
        ("he", "H&E"),
        ("H & E", "H&E"),
        ("Hematoxylin and Eosin", "H&E"),
        ("DAB", "IHC"),
        ("DAPI", "fluorescence"),
        ("PAS", None),
    ],
)
def test_a_stain_is_known_by_its_usual_names(word: str, stain: Stain | None) -> None:
    assert stain_called(word) == stain
