"""The tissue mask, the gate and the calibration, on pictures whose truth is known."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from morula.common.stain import FIXED_IHC_MATRIX, FIXED_STAIN_MATRIX, Stain
from morula.common.testing import EOSIN, HAEMATOXYLIN, draw_tissue, write_slide
from morula.tiler.calibration import calibrate, find_stains, recognise
from morula.tiler.slide import Pixels
from morula.tiler.tissue import Illumination, box_fractions, find_rule, tissue_mask


def background(width: int, height: int, level: int = 242, seed: int = 1) -> Pixels:
    noise = np.random.default_rng(seed).normal(0, 2.0, (height, width, 3))
    return np.clip(level + noise, 0, 255).astype(np.uint8)


def agreement(
    found: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], truth: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
) -> float:
    return float((found & truth).sum() / (found | truth).sum())


def test_stained_tissue_is_found_and_background_is_not() -> None:
    picture = draw_tissue(800, 600)[0]
    truth = np.zeros((600, 800), bool)
    truth[75:525, 75:725] = True
    rule = find_rule(picture)
    assert rule.illumination == "bright"
    assert agreement(tissue_mask(picture, rule), truth) > 0.98


def test_pale_fat_beside_dark_tissue_is_tissue() -> None:
    picture = background(600, 400)
    picture[50:350, 50:300] = (110, 50, 120)
    picture[50:350, 300:550] = np.clip(background(250, 300, 242).astype(int) - (4, 34, 16), 0, 255)
    mask = tissue_mask(picture, find_rule(picture))
    assert mask[60:340, 60:540].mean() > 0.98
    assert mask[:40].mean() < 0.01


def test_a_field_full_of_tissue_is_kept_whole() -> None:
    picture = draw_tissue(800, 800)[0][150:650, 150:650]
    assert tissue_mask(picture, find_rule(picture)).mean() > 0.98


@pytest.mark.parametrize("level", [220, 242, 255])
def test_an_empty_slide_has_no_tissue(level: int) -> None:
    picture = background(500, 500, level)
    assert tissue_mask(picture, find_rule(picture)).mean() < 0.001


def test_dust_is_dropped() -> None:
    picture = background(500, 500)
    picture[100:102, 100:102] = 20
    picture[300:340, 300:340] = (170, 80, 160)
    mask = tissue_mask(picture, find_rule(picture))
    assert not mask[90:110, 90:110].any()
    assert mask[302:338, 302:338].all()


def test_fluorescence_on_black_is_found() -> None:
    picture = np.zeros((400, 400, 3), np.uint8)
    picture[..., 2] = 6
    cv2.circle(picture, (200, 200), 60, (0, 0, 180), -1)
    rule = find_rule(picture)
    assert rule.illumination == "dark"
    mask = tissue_mask(picture, rule)
    assert mask[170:230, 170:230].all()
    assert mask.sum() < 1.1 * np.pi * 60**2


def test_what_a_scanner_left_black_is_not_tissue() -> None:
    picture = background(400, 400)
    picture[:, :150] = 0
    picture[150:250, 250:350] = (170, 80, 160)
    mask = tissue_mask(picture, find_rule(picture))
    assert not mask[:, :148].any()
    assert mask[155:245, 255:345].all()


def test_fractions_of_boxes() -> None:
    mask = np.zeros((10, 20), bool)
    mask[:5] = True
    boxes = np.array([[0, 0, 100, 50], [0, 0, 200, 100], [0, 60, 10, 10], [195, 95, 5, 5]])
    np.testing.assert_allclose(box_fractions(mask, boxes, 10.0), [1.0, 0.5, 0.0, 0.0])


def stained(haematoxylin: tuple[float, ...], eosin: tuple[float, ...], count: int = 20_000) -> Pixels:
    rng = np.random.default_rng(0)
    amounts = rng.gamma(2.0, 0.25, (count, 2))
    amounts[: count // 3, 0] *= 0.05
    amounts[count // 3 : 2 * count // 3, 1] *= 0.05
    unit = [np.array(stain) / np.linalg.norm(stain) for stain in (haematoxylin, eosin)]
    density = amounts[:, :1] * unit[0] + amounts[:, 1:] * unit[1] + 0.03
    return np.asarray(np.clip(255 * 10**-density, 0, 255).round(), np.uint8)


@pytest.mark.parametrize("turned", [(HAEMATOXYLIN, EOSIN), ((0.60, 0.72, 0.35), (0.22, 0.95, 0.25))])
def test_the_slides_own_stains_are_found(turned: tuple[tuple[float, ...], tuple[float, ...]]) -> None:
    found = find_stains(stained(*turned), FIXED_STAIN_MATRIX)
    assert found is not None
    for row, truth in zip(found, turned, strict=True):
        assert row @ np.array(truth) / np.linalg.norm(truth) > 0.985


def test_stains_that_make_no_sense_are_replaced_by_the_fixed_ones_and_that_is_said() -> None:
    green = stained((0.9, 0.1, 0.9), (0.9, 0.05, 0.2))
    grey = np.repeat(np.random.default_rng(0).integers(40, 200, (9000, 1), np.uint8), 3, axis=1)
    for pixels in (green, grey, np.empty((0, 3), np.uint8), stained(HAEMATOXYLIN, EOSIN, 300)):
        calibration = calibrate(pixels)
        assert calibration.stain_assumed
        assert calibration.stain_matrix == FIXED_STAIN_MATRIX


def test_percentiles_are_of_tissue() -> None:
    pixels = stained(HAEMATOXYLIN, EOSIN)
    calibration = calibrate(pixels)
    assert not calibration.stain_assumed
    np.testing.assert_allclose(calibration.low, np.percentile(pixels, 1, axis=0))
    np.testing.assert_allclose(calibration.high, np.percentile(pixels, 99, axis=0))


DAB = FIXED_IHC_MATRIX[3:]
DARK = np.random.default_rng(0).integers(0, 255, (5000, 3), np.uint8)


@pytest.mark.parametrize(
    ("pixels", "illumination", "stain"),
    [
        (stained(HAEMATOXYLIN, EOSIN), "bright", "H&E"),
        (stained((0.60, 0.72, 0.35), (0.22, 0.95, 0.25)), "bright", "H&E"),
        (stained(HAEMATOXYLIN, DAB), "bright", "IHC"),
        (stained(HAEMATOXYLIN, HAEMATOXYLIN), "bright", None),
        (np.repeat(DARK[:, :1], 3, axis=1), "bright", None),
        (stained(HAEMATOXYLIN, EOSIN, 300), "bright", None),
        (DARK, "dark", "fluorescence"),
    ],
    ids=["usual", "turned", "brown", "one stain", "grey", "too little", "light"],
)
def test_colours_tell_the_stain_or_nothing(pixels: Pixels, illumination: Illumination, stain: Stain | None) -> None:
    assert recognise(pixels, illumination) == stain


def test_dab_takes_eosins_place_where_it_is_said() -> None:
    calibration = calibrate(stained(HAEMATOXYLIN, DAB), "IHC")
    assert (calibration.stain, calibration.stain_assumed) == ("IHC", False)
    assert np.dot(calibration.stain_matrix[3:], DAB) > 0.985
    assert calibrate(np.empty((0, 3), np.uint8), "IHC").stain_matrix == FIXED_IHC_MATRIX


def test_the_child_that_opens_a_slide_compiles_nothing(tmp_path: Path) -> None:
    """It may write no file, so that each slide would wait for loops to be compiled anew."""
    slide, kept = tmp_path / "slide.tiff", tmp_path / "loops"
    write_slide(slide)
    asked = subprocess.run(
        [sys.executable, "-m", "morula.tiler.probe", str(slide)],
        env={**os.environ, "NUMBA_CACHE_DIR": str(kept)},
        input=b"[]",
        capture_output=True,
        check=True,
    )
    assert json.loads(asked.stdout)["levels"]
    assert not list(kept.rglob("*.nbi"))
