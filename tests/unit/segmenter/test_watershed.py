"""The classical segmenter on drawn and on real tissue."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from morula.common.models import find
from morula.common.testing import EOSIN, HAEMATOXYLIN, draw_tissue
from morula.segmenter.instances import Calibration, Wanted
from morula.segmenter.watershed import segment

REAL = Path(os.environ.get("MORULA_DATA", "../shared/data")) / "he_nuclei"
DRAWN = Wanted(calibration=Calibration(stain_matrix=(*HAEMATOXYLIN, *EOSIN)))


def f1(truth: NDArray[np.int32], found: NDArray[np.int32]) -> float:
    """Of objects that overlap by half of their union."""
    pairs, overlap = np.unique(np.stack([truth.ravel(), found.ravel()]), axis=1, return_counts=True)
    true_area, found_area = np.bincount(truth.ravel()), np.bincount(found.ravel())
    union = true_area[pairs[0]] + found_area[pairs[1]] - overlap
    matched = ((pairs > 0).all(axis=0) & (2 * overlap >= union)).sum()
    return float(2 * matched / ((true_area[1:] > 0).sum() + (found_area[1:] > 0).sum()))


@pytest.mark.parametrize("seed", [0, 1])
def test_drawn_nuclei_are_found(seed: int) -> None:
    picture, nuclei = draw_tissue(320, 320, seed)
    found = segment(picture, 0.5, DRAWN)
    assert f1(nuclei.label, found.labels) > 0.95
    assert found.scores.size == found.labels.max()
    assert ((found.scores > 0) & (found.scores <= 1)).all()


def test_touching_nuclei_come_apart() -> None:
    rows, columns = np.mgrid[:80, :80]
    discs = [np.hypot(columns - x, rows - 40) <= 9 for x in (32, 48)]
    density = np.where(discs[0] | discs[1], 0.8, 0.05)[..., None] * np.array(HAEMATOXYLIN) + 0.3 * np.array(EOSIN)
    found = segment(np.rint(255 * 10**-density).astype(np.uint8), 0.5, DRAWN).labels
    assert found.max() == 2
    assert found[40, 30] != found[40, 50]


def test_small_objects_are_left_out_when_asked() -> None:
    picture, nuclei = draw_tissue(320, 320)
    largest = float(np.bincount(nuclei.label.ravel())[1:].max()) * 0.25
    assert segment(picture, 0.5, DRAWN).labels.max() > 0
    calibration = DRAWN.calibration
    assert segment(picture, 0.5, Wanted(min_area_um2=2 * largest, calibration=calibration)).labels.max() == 0


def test_what_is_told_as_its_defaults_is_what_it_does() -> None:
    picture, _ = draw_tissue(320, 320)
    told = find("watershed", "segmenter").defaults
    sizes = {name: float(str(told[name])) for name in ("diameter_um", "min_area_um2")}
    asked = Wanted(**sizes, calibration=DRAWN.calibration)  # type: ignore[arg-type]
    assert (segment(picture, 0.5, asked).labels == segment(picture, 0.5, DRAWN).labels).all()


@pytest.mark.parametrize("low", [(5, 5, 5), (0, 0, 28)])
def test_on_a_dark_background_bright_is_nucleus(low: tuple[int, int, int]) -> None:
    _, nuclei = draw_tissue(320, 320)
    picture = np.where(nuclei.label > 0, 160, 8).astype(np.uint8)[..., None].repeat(3, axis=2)
    high = (160, 160, 160) if low[0] else (4, 3, 255)
    dark = Wanted(calibration=Calibration(low=low, high=high))
    assert f1(nuclei.label, segment(picture, 0.5, dark).labels) > 0.9


def test_the_same_pixels_give_the_same_cells() -> None:
    picture, _ = draw_tissue(256, 256)
    first, second = (segment(picture, 0.5, DRAWN) for _ in range(2))
    assert np.array_equal(first.labels, second.labels)
    assert np.array_equal(first.scores, second.scores)


@pytest.mark.skipif(not REAL.is_dir(), reason="MORULA_DATA has no he_nuclei")
def test_real_nuclei_are_found() -> None:
    scores = []
    for name in ("scc_image_01", "scc_image_04"):
        image = cv2.cvtColor(cv2.imread(str(REAL / f"images/{name}.png")), cv2.COLOR_BGR2RGB)
        truth = cv2.imread(str(REAL / f"labels/{name}.png"), cv2.IMREAD_UNCHANGED).astype(np.int32)
        scores.append(f1(truth, segment(image, 0.346, Wanted()).labels))
    assert np.mean(scores) > 0.4
