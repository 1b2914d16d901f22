"""Features stand on a fixed scale and know the company that a cell keeps."""

from __future__ import annotations

import numpy as np
import pytest

from morula.clusterer import features
from morula.clusterer.features import Scale, SlideVectors
from morula.common.errors import InvalidArgument

SCALE = Scale(("a", "b"), (10.0, 0.0), (2.0, 1.0))


def slide(vectors: np.ndarray, seed: int = 0) -> SlideVectors:
    x, y = np.random.default_rng(seed).uniform(0, 1000, (2, len(vectors)))
    return SlideVectors(vectors.astype(np.float16), x, y)


def test_nothing_measured_lies_at_one_place_with_and_without_axes() -> None:
    vectors = np.random.default_rng(0).normal(1, 1, (40, 70)).astype(np.float16)
    vectors[3] = np.nan
    for width in (5, 70):
        scale = Scale(tuple(map(str, range(width))), (0.5,) * width, (2.0,) * width)
        made = features.build([slide(vectors[:, :width])], scale, -1)
        assert np.allclose(made.matrix[3], features.of_the_unknown(made.projection, made.own_count), atol=0.01)


def test_scale_is_fixed_clipped_and_says_nothing_of_what_is_missing() -> None:
    scaled = features.scaled(np.array([[12.0, np.nan], [1000.0, -2.0]], np.float32), SCALE)
    assert scaled.tolist() == [[1.0, 0.0], [5.0, -2.0]]


def test_a_slide_has_the_same_features_alone_and_in_a_cohort() -> None:
    rng = np.random.default_rng(0)
    one, other = slide(rng.normal(9, 2, (50, 2)), 1), slide(rng.normal(30, 9, (70, 2)), 2)
    together = features.build([one, other], SCALE, 8)
    assert together.names == ("a", "b", "nearby_a", "nearby_b")
    assert np.array_equal(together.matrix[:50], features.build([one], SCALE, 8).matrix)


def test_neighbours_are_the_nearest_others_of_the_slide() -> None:
    own = np.array([[0.0], [1.0], [2.0], [30.0]], np.float32)
    x = np.array([0.0, 1.0, 2.0, 100.0])
    assert features.neighbour_mean(own, x, np.zeros(4), 2).ravel().tolist() == [1.5, 1.0, 0.5, 1.5]
    assert features.neighbour_mean(own[:1], x[:1], np.zeros(1), 2).ravel().tolist() == [0.0]


def test_many_cells_on_one_spot_still_have_neighbours() -> None:
    own = np.arange(30, dtype=np.float32)[:, None]
    assert np.isfinite(features.neighbour_mean(own, np.zeros(30), np.zeros(30), 8)).all()


def test_many_columns_are_projected_and_other_cells_alike() -> None:
    columns = tuple(f"c{number}" for number in range(100))
    scale = Scale(columns, (0.0,) * 100, (1.0,) * 100)
    rng = np.random.default_rng(0)
    rows = slide(rng.normal(0, 1, (300, 3)) @ rng.normal(0, 0.5, (3, 100)))
    built = features.build([rows], scale, 8)
    assert built.matrix.shape == (300, 2 * features.PROJECTED_COLUMNS)
    assert np.array_equal(features.apply(rows, scale, built.projection, 8), built.matrix)


def test_refuses_vectors_of_another_embedder() -> None:
    with pytest.raises(InvalidArgument):
        features.build([slide(np.zeros((5, 3)))], SCALE, 8)
