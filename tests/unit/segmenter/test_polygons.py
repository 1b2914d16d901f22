"""Polygons follow pixel edges: valid, and back to the mask without a pixel's difference."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from morula.embedder.core import rasterise
from morula.segmenter.polygons import separate, trace

LABELS = arrays(np.int32, st.tuples(st.integers(1, 24), st.integers(1, 24)), elements=st.integers(0, 3))


@given(LABELS)
@settings(max_examples=200, deadline=None)
def test_rasterised_polygons_are_the_mask(image: NDArray[np.int32]) -> None:
    labels = separate(image)
    polygons = trace(labels)
    assert len(polygons) == labels.max()
    assert shapely.is_valid(polygons).all()
    assert np.array_equal(shapely.area(polygons), np.bincount(labels.ravel())[1:])
    assert np.array_equal(rasterise(polygons, labels.shape), labels)


@given(LABELS)
@settings(max_examples=50, deadline=None)
def test_separate_keeps_the_largest_piece_of_each_label(image: NDArray[np.int32]) -> None:
    labels = separate(image)
    assert set(np.unique(image)) - {0} == set(np.unique(image[labels > 0]))
    assert len(np.unique(labels[labels > 0])) == len(set(np.unique(image)) - {0})
    again = separate(labels)
    assert np.array_equal(again, labels)


def test_a_hole_that_meets_the_outside_at_a_corner_is_a_ring_of_its_own() -> None:
    labels = np.ones((3, 3), np.int32)
    labels[0, 0] = labels[1, 1] = 0
    (polygon,) = trace(labels)
    assert polygon.is_valid
    assert polygon.area == 7
    assert len(polygon.interiors) == 1


def test_exteriors_are_counter_clockwise_and_vertices_are_corners_only() -> None:
    labels = np.zeros((5, 6), np.int32)
    labels[1:4, 1:5] = 1
    (polygon,) = trace(labels)
    assert polygon.exterior.is_ccw
    assert set(polygon.exterior.coords) == {(1, 1), (5, 1), (5, 4), (1, 4)}


@pytest.mark.parametrize("shape", [(1, 1), (7, 3)])
def test_a_cell_that_fills_the_image_is_its_frame(shape: tuple[int, int]) -> None:
    (polygon,) = trace(np.ones(shape, np.int32))
    assert polygon.bounds == (0, 0, shape[1], shape[0])
    assert polygon.area == shape[0] * shape[1]


def test_nothing_gives_nothing() -> None:
    assert len(trace(np.zeros((4, 4), np.int32))) == 0
    assert separate(np.zeros((4, 4), np.int32)).max() == 0
