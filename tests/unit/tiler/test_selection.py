"""Drawn regions, samples and cores: which tiles of a slide are wanted."""

import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morula.common.errors import InvalidArgument
from morula.common.geometry import Grid
from morula.tiler.microarray import core_of, find_cores, letters
from morula.tiler.outline import lattice_inside
from morula.tiler.selection import Selection, draw_sample, spread_order, wanted_tiles

GRID = Grid(0, 0, 100, 0.5, 0.5, 2000, 1500)


def square(x: float, y: float, side: float) -> list[list[float]]:
    return [[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]


def polygon(*rings: list[list[float]]) -> dict[str, object]:
    return {"type": "Polygon", "coordinates": list(rings)}


def chosen(**drawn: str) -> set[tuple[int, int]]:
    rows, columns = np.nonzero(wanted_tiles(GRID, Selection(**drawn), lambda: None).reshape(GRID.rows, GRID.columns))  # type: ignore[arg-type]
    return set(zip(columns.tolist(), rows.tolist(), strict=True))


def test_tiles_are_wanted_by_their_centres() -> None:
    drawn = json.dumps(polygon(square(151, 151, 200)))
    assert chosen(include=drawn) == {(x, y) for x in (2, 3) for y in (2, 3)}  # 150 lies outside by a pixel.
    assert chosen() == {(x, y) for x in range(20) for y in range(15)}
    assert chosen(exclude=drawn) == chosen() - chosen(include=drawn)


def test_holes_overlaps_and_every_wrapping_of_geojson() -> None:
    ring = polygon(square(0, 0, 1000), square(300, 300, 400))
    outer, hole = (
        chosen(include=json.dumps(polygon(square(0, 0, 1000)))),
        chosen(include=json.dumps(polygon(square(300, 300, 400)))),
    )
    assert chosen(include=json.dumps(ring)) == outer - hole
    feature = {"type": "Feature", "properties": {"name": "tumour"}, "geometry": ring}
    overlapping = {"type": "MultiPolygon", "coordinates": [[square(0, 0, 1000)], [square(300, 300, 400)]]}
    assert chosen(include=json.dumps({"type": "FeatureCollection", "features": [feature]})) == outer - hole
    assert chosen(include=json.dumps({"type": "GeometryCollection", "geometries": [overlapping]})) == outer


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_any_polygon_holds_the_points_that_opencv_says(seed: int) -> None:
    ring = np.random.default_rng(seed).uniform(0, 100, (7, 2))
    hull = cv2.convexHull(ring.astype(np.float32))[:, 0]
    x, y = np.arange(0.37, 100, 7.1), np.arange(0.53, 100, 5.3)
    inside = lattice_inside([[hull.astype(np.float64)]], x, y, lambda: None)
    expected = [[cv2.pointPolygonTest(hull, (float(i), float(j)), False) >= 0 for i in x] for j in y]
    np.testing.assert_array_equal(inside, expected)


@given(st.integers(1, 300), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_an_order_has_every_tile_once_and_follows_its_seed(count: int, seed: int) -> None:
    tiles = np.sort(np.random.default_rng(seed).permutation(300)[:count])
    order = spread_order(GRID, tiles, seed)
    np.testing.assert_array_equal(np.sort(order), tiles)
    np.testing.assert_array_equal(order, spread_order(GRID, tiles, seed))


def test_a_sample_is_spread_and_counts_only_what_passes() -> None:
    tiles = np.arange(GRID.tile_count)
    order = spread_order(GRID, tiles, 1)
    assert not np.array_equal(order, spread_order(GRID, tiles, 2))
    sampled = draw_sample(order, 24, lambda tile: tile % 2 == 0)
    assert len(sampled) == 24
    assert (sampled % 2 == 0).all()
    row, column = np.divmod(sampled, GRID.columns)
    quarters = np.bincount(2 * (row >= GRID.rows / 2) + (column >= GRID.columns / 2), minlength=4)
    assert quarters.min() >= 3
    assert len(draw_sample(order, 24, lambda tile: tile < 5)) == 5
    with pytest.raises(InvalidArgument):
        Selection(sample_tile_count=-1)


def microarray(
    tilt_degrees: float,
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.bool_]], list[tuple[float, float]]]:
    """Three rows of five cores of 1 mm at 10 um per pixel; the second of the first row is lost."""
    mask = np.zeros((700, 1000), np.uint8)
    turn = cv2.getRotationMatrix2D((500.0, 350.0), tilt_degrees, 1.0)
    centres = []
    for row in range(3):
        for column in range(5):
            if (row, column) == (0, 1):
                continue
            x, y = turn @ (180 + column * 160, 190 + row * 160, 1)
            centres.append((float(x), float(y)))
            cv2.circle(mask, (round(x), round(y)), 50, 1, -1)
            cv2.circle(mask, (round(x) + 5, round(y)), 3, 0, -1)
    mask[20:24, 20:24] = 1  # dust
    return mask > 0, centres


@pytest.mark.parametrize("tilt_degrees", [0, 4, -7])
def test_cores_are_found_and_named_by_row_and_column(tilt_degrees: float) -> None:
    mask, centres = microarray(tilt_degrees)
    cores = find_cores(mask, 10.0, 40.0)
    names = [f"{row}-{column}" for row in "ABC" for column in range(1, 6) if (row, column) != ("A", 2)]
    assert [core.name for core in cores] == names
    for core, (x, y) in zip(cores, centres, strict=True):
        assert (core.x_px, core.y_px) == pytest.approx((x * 40, y * 40), abs=120)
    places = np.array(centres) * 40
    assert core_of(cores, places[:, 0], places[:, 1]) == names
    assert core_of(cores, np.array([50.0]), np.array([50.0])) == [None]


def test_one_section_is_no_microarray() -> None:
    mask = np.zeros((300, 300), bool)
    mask[50:250, 50:250] = True
    assert find_cores(mask, 10.0, 40.0) == []
    assert core_of([], np.zeros(2), np.zeros(2)) == [None, None]


def test_rows_beyond_z_have_two_letters() -> None:
    assert [letters(number) for number in (0, 25, 26, 27, 701, 702)] == ["A", "Z", "AA", "AB", "ZZ", "AAA"]
