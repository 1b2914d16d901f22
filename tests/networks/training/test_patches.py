"""Patches put together: the image that was cut comes back, and each cell of it once and whole."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from morula.common.errors import InvalidArgument
from morula.training.config import Source
from morula.training.data import read_source

SIDE = 64
OFFSETS = [(0, 0), (SIDE, 0), (0, SIDE), (SIDE, SIDE), (2 * SIDE - 40, 0), (2 * SIDE - 40, SIDE)]
"""Four that abut, and two beyond them that share 24 px with their neighbours."""
WIDTH, HEIGHT = 3 * SIDE - 40, 2 * SIDE


def cells(rng: np.random.Generator) -> np.ndarray:
    """Discs that do not touch, some of them across seams."""
    labels = np.zeros((HEIGHT, WIDTH), np.int32)
    for label, (y, x) in enumerate(((64, 30), (20, 64), (64, 64), (100, 90), (40, 110), (90, 140), (10, 145)), 1):
        cv2.circle(labels, (x, y), int(rng.integers(6, 9)), label, -1)
    return labels


def cut(folder: Path, pixels: np.ndarray, labels: np.ndarray, offsets: list[tuple[int, int]]) -> None:
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for number, (x, y) in enumerate(offsets):
        own = labels[y : y + SIDE, x : x + SIDE]
        # Each patch numbers its cells anew.
        own = np.searchsorted(np.unique(own), own).astype(np.uint16)
        assert cv2.imwrite(str(folder / "images" / f"field_7_{number:03}.png"), pixels[y : y + SIDE, x : x + SIDE])
        assert cv2.imwrite(str(folder / "labels" / f"field_7_{number:03}.png"), own)


def source(offsets: list[tuple[int, int]] = OFFSETS) -> Source:
    return Source(name="x", path=".", group_pattern=r"field(?:_\d+)?", patch_offsets_px=tuple(offsets))


def test_what_was_cut_comes_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    pixels, labels = rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8), cells(rng)
    cut(tmp_path, pixels, labels, OFFSETS)
    (one,) = read_source(source(), tmp_path)
    assert (one.name, one.group) == ("field_7", "x/field_7")
    assert np.array_equal(one.pixels, pixels[..., ::-1])
    pairs = np.unique(np.stack([labels.ravel(), one.labels.ravel()]), axis=1)
    assert pairs.shape[1] == labels.max() + 1 == np.unique(one.labels).size


def test_cells_that_only_touch_at_a_seam_stay_two(tmp_path: Path) -> None:
    labels = np.zeros((SIDE, 2 * SIDE), np.int32)
    labels[10:40, 50:SIDE] = 1
    labels[36:60, SIDE:80] = 2
    cut(tmp_path, np.zeros((*labels.shape, 3), np.uint8), labels, OFFSETS[:2])
    (one,) = read_source(source(OFFSETS[:2]), tmp_path)
    assert np.unique(one.labels).size == 3


def test_a_patch_that_is_missing_or_has_no_number_is_told(tmp_path: Path) -> None:
    labels = cells(np.random.default_rng(3))
    cut(tmp_path, np.zeros((*labels.shape, 3), np.uint8), labels, OFFSETS)
    with pytest.raises(InvalidArgument, match="field_7 has 6 patches, 4 offsets"):
        list(read_source(source(OFFSETS[:4]), tmp_path))
    for kind in ("images", "labels"):
        (tmp_path / kind / "field_7_000.png").rename(tmp_path / kind / "field.png")
    with pytest.raises(InvalidArgument, match="x/field does not end in the number of a patch"):
        list(read_source(source(), tmp_path))


@pytest.mark.parametrize(("added", "line"), [("field_7_01", "are one patch"), ("", "more than one group")])
def test_patches_that_do_not_belong_together_are_told(added: str, line: str, tmp_path: Path) -> None:
    cut(tmp_path, np.zeros((SIDE, 2 * SIDE, 3), np.uint8), np.zeros((SIDE, 2 * SIDE), np.int32), OFFSETS[:2])
    for kind in ("images", "labels"):
        there = tmp_path / kind / "field_7_001.png"
        there.with_stem(added or there.stem).write_bytes(there.read_bytes())
    with pytest.raises(InvalidArgument, match=line):
        list(read_source(source(OFFSETS[:2]).model_copy(update={} if added else {"group_pattern": ".*"}), tmp_path))


@pytest.mark.parametrize("offsets", [[(0, 0), (0, 0)], [(0, 0), (10**7, 0)], [(0, 0), (-1, 0)]])
def test_places_that_patches_cannot_have_are_refused(offsets: list[tuple[int, int]]) -> None:
    with pytest.raises(ValidationError, match=r"one place|100000|greater than or equal to 0"):
        source(offsets)
