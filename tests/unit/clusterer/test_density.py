"""DBSCAN: the same labels as scikit-learn, row for row, also where distances tie and rows are equal."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from sklearn.cluster import DBSCAN

from morula.clusterer.density import MIN_SAMPLES, dbscan, nearest_rows


def cloud(seed: int, rows: int, columns: int, kinds: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    middles = rng.normal(size=(kinds, columns)) * rng.choice([0.1, 0.5, 3.0])
    return (middles[rng.integers(kinds, size=rows)] + rng.normal(size=(rows, columns)) * 0.1).astype(np.float32)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95, 1.0])
@pytest.mark.parametrize(("rows", "columns"), [(6, 50), (300, 50), (1500, 2), (1500, 50)])
def test_labels_are_those_of_scikit_learn(rows: int, columns: int, share: float) -> None:
    for seed in range(3):
        points = cloud(seed, rows, columns, kinds=1 + 4 * seed)
        nearest = nearest_rows(points)
        # Like the knee, eps is a distance that is there: whether that pair counts is for rounding to say.
        eps = float(np.quantile(nearest.distance[:, MIN_SAMPLES - 1], share, method="nearest"))
        expected = DBSCAN(eps=eps, min_samples=MIN_SAMPLES).fit_predict(points)
        assert np.array_equal(dbscan(points, nearest, eps), expected)


@pytest.mark.parametrize("columns", [2, 20])
def test_ties_and_equal_rows_are_no_exception(columns: int) -> None:
    points = np.round(cloud(7, 900, columns, kinds=6), 1)
    points[:300] = points[0]
    nearest = nearest_rows(points)
    for eps in (0.1, 0.2, 0.5):
        expected = DBSCAN(eps=eps, min_samples=MIN_SAMPLES).fit_predict(points)
        assert np.array_equal(dbscan(points, nearest, eps), expected)


def test_pieces_that_only_touch_far_from_what_is_nearest_are_one() -> None:
    crowd = np.random.default_rng(0).normal(0, 1e-3, (400, 50)).astype(np.float32)
    points = np.concatenate([crowd, crowd + np.float32(0.05), crowd + np.float32(2)])
    nearest = nearest_rows(points)
    assert not (nearest.row[:400] >= 400).any()
    labels = dbscan(points, nearest, 0.5)
    assert labels.tolist() == [0] * 800 + [1] * 400


def test_thousands_of_equal_rows_take_no_list_of_everything_within_reach() -> None:
    points = np.repeat(np.float32([0, 1, 9]), [8000, 100, 1])[:, None] * np.ones(20, np.float32)
    nearest = nearest_rows(points)
    tracemalloc.start()
    labels = dbscan(points, nearest, 0.5)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.bincount(labels + 1).tolist() == [1, 8000, 100]
    assert most < 8000 * 8000  # a list of numbers would take eight times that


def test_pieces_far_apart_are_compared_only_while_somebody_waits() -> None:
    middles = np.arange(40, dtype=np.float32).repeat(20) * 9
    points = (middles[:, None] + np.random.default_rng(0).normal(0, 1e-3, (800, 3))).astype(np.float32)
    nearest = nearest_rows(points)
    asked = 0

    def checkpoint() -> None:
        nonlocal asked
        asked += 1

    assert dbscan(points, nearest, 0.5, checkpoint).max() == 39
    assert asked > 1
