"""Folds on painted slides, whose place is known: of each range of stains, on seeds that nothing was tuned on."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import shapely

from morula.synth.noise import Window
from morula.synth.scanner import EOSIN
from morula.synth.slide import BLOCK_PX, Artist, Order
from morula.synth.splits import SPLITS
from morula.tiler.artefacts import fold_mask
from morula.tiler.slide import Pixels
from morula.tiler.tissue import find_rule, tissue_mask

Mask = npt.NDArray[np.bool_]

SIDE_PX, DOWNSAMPLE, MPP = 4096, 2, 0.5
NEAR_UM = 12.0  # A fold that is found a pixel of the search beside its place is found.
OFFSET = 120
MIN_COVERED = 0.4  # Share of a fold's area with which it counts as found.


@dataclass(frozen=True)
class Found:
    """Of one slide: how much of each fold was found, and how much of what was found is none."""

    covered: list[float]
    right_px: int
    wrong_px: int


@pytest.fixture(scope="module")
def found() -> dict[str, Found]:
    return {name: searched(split.first_seed + OFFSET) for name, split in SPLITS.items()}


def searched(seed: int) -> Found:
    artist = Artist(Order(SIDE_PX, SIDE_PX, seed, MPP, artefacts=True))
    folds = [outline for kind, outline in artist.artefacts.regions() if kind == "fold"]
    overview = painted_around(artist, folds)
    tissue = tissue_mask(overview, find_rule(overview))
    mask = fold_mask(overview, tissue, MPP * DOWNSAMPLE)
    places = [drawn(fold) & tissue for fold in folds]
    side = 2 * round(NEAR_UM / MPP / DOWNSAMPLE) + 1
    near = cv2.dilate(np.any(places, axis=0).astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    covered = [float(mask[place].mean()) for place in places if place.any()]
    return Found(covered, int((mask & near).sum()), int((mask & ~near).sum()))


def painted_around(artist: Artist, folds: list[shapely.Polygon]) -> Pixels:
    """The blocks that folds touch, which are about a third of the slide; the rest is as glass."""
    side = SIDE_PX // DOWNSAMPLE
    overview = np.full((side, side, 3), 244, np.uint8)
    for y in range(0, SIDE_PX, BLOCK_PX):
        for x in range(0, SIDE_PX, BLOCK_PX):
            if any(shapely.box(x, y, x + BLOCK_PX, y + BLOCK_PX).intersects(fold) for fold in folds):
                rgb = artist.block(Window(x, y, x + BLOCK_PX, y + BLOCK_PX)).rgb
                small = cv2.resize(rgb, None, fx=1 / DOWNSAMPLE, fy=1 / DOWNSAMPLE, interpolation=cv2.INTER_AREA)
                left, top = x // DOWNSAMPLE, y // DOWNSAMPLE
                overview[top : top + len(small), left : left + len(small)] = small
    return overview


def drawn(outline: shapely.Polygon) -> Mask:
    mask = np.zeros((SIDE_PX // DOWNSAMPLE, SIDE_PX // DOWNSAMPLE), np.uint8)
    cv2.fillPoly(mask, [np.rint(np.asarray(outline.exterior.coords) / DOWNSAMPLE).astype(np.int32)], 1)
    return mask > 0


@pytest.mark.parametrize("split", SPLITS)
def test_folds_are_found_in_every_range_of_stains(found: dict[str, Found], split: str) -> None:
    assert np.mean(found[split].covered) >= 0.5, found[split]


def test_most_folds_are_found_and_little_else(found: dict[str, Found]) -> None:
    covered = [share for one in found.values() for share in one.covered]
    assert len(covered) >= 8
    assert np.mean(np.array(covered) >= MIN_COVERED) >= 0.75, found
    right, wrong = (sum(getattr(one, name) for one in found.values()) for name in ("right_px", "wrong_px"))
    assert right / (right + wrong) >= 0.85, found


def test_pale_stroma_folds_too() -> None:
    """Eosin so pale that a double layer is still paler than the cells beside it."""
    noise = np.random.default_rng(3).normal(0, 1.5, (600, 800, 3))
    density = np.broadcast_to(0.15 * EOSIN, (600, 800, 3)).copy()
    density[:, 500:] = (0.45, 0.6, 0.35)  # Crowded cells, of whose density the slide's median would be.
    band = np.zeros((600, 800), bool)
    band[280:310, 120:400] = True
    density[band] *= 2
    picture = np.clip(243 * 10**-density + noise, 0, 255).astype(np.uint8)
    picture[:40], picture[-40:] = 243, 243
    mask = fold_mask(picture, tissue_mask(picture, find_rule(picture)), 1.5)
    assert mask[band].mean() > 0.8
    assert mask[~band].mean() < 0.03
