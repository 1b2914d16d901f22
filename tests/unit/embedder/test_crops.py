"""Pictures of cells: equal to what others make of the same box, and the same whichever way a cell lies."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from morula.common.pixels import Region
from morula.common.stain import Staining
from morula.embedder.crops import Boxes, Windows, resized_middle
from morula.embedder.instances import RegionCells
from morula.segmenter.polygons import trace

DATA = Path(os.environ.get("MORULA_DATA", "../shared/data"))
SIDE_PX = 96


def cells_of(pixels: NDArray[np.uint8], labels: NDArray[np.int32], mpp: float = 0.5) -> RegionCells:
    region = Region(0, 0.0, 0.0, 1.0, np.ascontiguousarray(pixels), 0, mpp, mpp)
    return RegionCells(region, trace(labels), np.ascontiguousarray(labels), Staining(), {})


def two_cells(left: int = 20) -> RegionCells:
    """A dark cell, a darker one that touches it, and a grey ground."""
    labels = np.zeros((64, 64), np.int32)
    labels[28:36, left : left + 12] = 1
    labels[28:36, left + 12 : left + 24] = 2
    pixels = np.full((64, 64, 3), (200, 180, 210), np.uint8)
    pixels[labels == 1], pixels[labels == 2] = (90, 60, 120), (20, 10, 30)
    return cells_of(pixels, labels)


def real_cells() -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """A field of tissue, and its nuclei by people."""
    images, masks = (sorted((DATA / "he_nuclei" / each).glob("tnbc_*")) for each in ("images", "labels"))
    if not images:
        pytest.skip(f"no real data at {DATA} (set MORULA_DATA)")
    image = cv2.cvtColor(cv2.imread(str(images[0])), cv2.COLOR_BGR2RGB)
    marked = cv2.imread(str(masks[0]), cv2.IMREAD_UNCHANGED)
    return np.asarray(image), np.unique(marked, return_inverse=True)[1].reshape(marked.shape).astype(np.int32)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 30), (17, 23), (61, 20), (90, 90), (300, 411), (256, 256)])
def test_a_box_is_as_pillow_resizes_and_crops_it(height: int, width: int) -> None:
    box = np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)
    shorter = min(height, width)
    whole = Image.fromarray(box).resize((256 * width // shorter, 256 * height // shorter), Image.Resampling.BILINEAR)
    left, top = (round((side - 224) / 2) for side in whole.size)
    theirs = np.asarray(whole.crop((left, top, left + 224, top + 224))).transpose(2, 0, 1)
    differ = np.abs(resized_middle(box, 224).astype(int) - theirs)
    assert differ.max() <= 1
    assert (differ > 0).mean() < 5e-3


def test_boxes_are_those_of_outlines() -> None:
    cells = two_cells()
    expected = [resized_middle(cells.region.pixels[28:36, left : left + 12], 224) for left in (20, 32)]
    assert np.array_equal(Boxes(cells, 224)(np.arange(2)), np.stack(expected))
    assert np.array_equal(Boxes(cells, 224)(np.array([1])), expected[1][None])


def test_other_cells_are_faded_in_a_window() -> None:
    cells = two_cells()
    own, other = (Windows(cells, 20, 40)(np.array([cell]))[0] for cell in (0, 1))
    assert (own == 90).any()
    assert not (own[0] < 80).any(), "nothing is left of the darker neighbour"
    assert (other[0] == 20).any()
    shown = Windows(cells, 20, 40, fades=False)(np.array([0]))[0]
    assert (shown[0] == 20).any()


def test_a_window_has_one_size_whatever_the_scale() -> None:
    pixels, labels = real_cells()
    coarse = cells_of(pixels, labels, 0.25)
    finer = [np.repeat(np.repeat(each, 2, axis=0), 2, axis=1) for each in (pixels, labels)]
    fine = cells_of(finer[0], finer[1], 0.125)
    some = np.arange(20)
    one, other = (Windows(cells, 24, SIDE_PX)(some).astype(int) for cells in (coarse, fine))
    assert np.abs(one - other).mean() < 2


def test_a_cell_at_the_border_stays_in_the_middle() -> None:
    inside, beside = two_cells(20), two_cells(0)
    one, other = (Windows(cells, 20, 41)(np.array([0]))[0] for cells in (inside, beside))
    half = slice(15, 27)
    assert np.array_equal(one[:, half, half], other[:, half, half])


TURNS: list[Callable[[NDArray[np.generic]], NDArray[np.generic]]] = [
    lambda image: np.rot90(image),
    lambda image: np.rot90(image, 2),
    lambda image: np.rot90(image, 3),
    lambda image: image[::-1],
    lambda image: image[:, ::-1],
    lambda image: np.swapaxes(image, 0, 1),
]


@pytest.mark.parametrize("turn", TURNS)
def test_a_cell_looks_the_same_whichever_way_it_lies(turn: Callable[..., NDArray[np.generic]]) -> None:
    pixels, labels = real_cells()
    every = np.arange(labels.max())
    upright, turned = (
        Windows(cells, 24, SIDE_PX)(every).astype(int)
        for cells in (cells_of(pixels, labels), cells_of(turn(pixels), turn(labels)))
    )
    assert np.quantile(np.abs(upright - turned).mean(axis=(1, 2, 3)), 0.95) <= 1
    assert np.abs(upright - np.rot90(upright, axes=(2, 3))).mean() > 10, "what is turned would be seen"


def test_pictures_come_in_the_order_asked_for() -> None:
    show = Windows(two_cells(), 20, 40)
    assert np.array_equal(show(np.array([1, 0])), show(np.arange(2))[::-1])
    assert show(np.zeros(0, np.int64)).shape == (0, 3, 40, 40)
