"""Slides of one tissue mix, slides of two do not, and nothing is said where there is too little to say it from."""

from __future__ import annotations

import numpy as np
import pytest

from morula.clusterer.arrays import Halves
from morula.clusterer.mixing import CELLS_OF_A_SLIDE, mixing


def cells(count: int, middle: float, seed: int) -> Halves:
    """Cells of two kinds around a place of their own."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 2, count)[:, None] * 4.0
    return (rng.normal(middle + kind, 1.0, (count, 6))).astype(np.float16)


@pytest.mark.parametrize(("middle", "low", "high"), [(0.0, 0.9, 1.1), (30.0, 0.0, 0.01)], ids=["same", "another"])
def test_a_score_is_near_one_for_the_same_and_near_zero_for_another(middle: float, low: float, high: float) -> None:
    counts = [300, 3 * CELLS_OF_A_SLIDE]
    own = np.concatenate([cells(counts[0], 0.0, 1), cells(counts[1], middle, 2)])
    told = mixing(own, np.ones(len(own), bool), counts, seed=0)
    assert told is not None
    assert low <= told.score <= high, "also where one slide is ten times as large"
    assert told.low <= told.score <= told.high
    assert all(score is not None and low <= score <= high for score in told.slides)


def test_many_slides_apart_do_not_mix() -> None:
    """Of so many few cells are looked at, and each has neighbours of its own slide only."""
    count = 500
    own = np.concatenate([np.full((50, 4), 4.0 * slide, np.float16) for slide in range(count)])
    told = mixing(own, np.ones(len(own), bool), [50] * count, seed=0)
    assert told is not None
    assert told.score < 0.01


def test_who_stands_apart_is_told() -> None:
    own = np.concatenate([cells(200, middle, seed) for seed, middle in enumerate((0.0, 0.0, 0.0, 30.0))])
    told = mixing(own, np.ones(len(own), bool), [200] * 4, seed=0)
    assert told is not None
    *alike, apart = (score or 0.0 for score in told.slides)
    assert min(alike) > 0.7
    assert apart < 0.01


def test_of_one_slide_or_too_few_known_cells_nothing_is_told() -> None:
    own = cells(200, 0.0, 0)
    assert mixing(own, np.ones(200, bool), [200], seed=0) is None
    assert mixing(own, np.arange(200) < 120, [100, 100], seed=0) is None
    told = mixing(np.concatenate([own, own[:20]]), np.ones(220, bool), [100, 100, 20], seed=0)
    assert told is not None
    assert told.slides[2] is None
