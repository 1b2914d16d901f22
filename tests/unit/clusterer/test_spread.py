"""What is shown of a cluster covers it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from morula.clusterer.spread import farthest, spread


def closest_pair(rows: np.ndarray) -> float:
    apart = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    return float(apart[np.triu_indices(len(rows), 1)].min())


def test_shown_rows_lie_farther_apart_than_the_ones_nearest_the_middle() -> None:
    rows = np.random.default_rng(0).normal(0, 1, (400, 3)).astype(np.float32)
    nearest = np.argsort(np.linalg.norm(rows - rows.mean(axis=0), axis=1))[:12]
    for chosen in (spread(rows, 12, 0), farthest(rows, 12)):
        assert closest_pair(rows[chosen]) > 1.5 * closest_pair(rows[nearest])


def test_the_rim_is_not_shown_and_the_most_typical_comes_first() -> None:
    rows = np.random.default_rng(1).normal(0, 1, (200, 2)).astype(np.float32)
    rows[17] = 50.0
    chosen = spread(rows, 12, 3)
    assert 17 not in chosen
    middle = np.linalg.norm(rows[chosen] - rows.mean(axis=0), axis=1)
    assert middle[0] == middle.min()


@given(st.integers(0, 40), st.integers(1, 12), st.booleans())
def test_each_row_at_most_once_and_as_many_as_there_are(row_count: int, wanted: int, equal: bool) -> None:
    rows = np.zeros((row_count, 2), np.float32) if equal else np.eye(40, 5, dtype=np.float32)[:row_count]
    chosen = spread(rows, wanted, 0).tolist()
    assert len(chosen) == len(set(chosen)) == min(row_count, wanted)
