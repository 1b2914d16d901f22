"""Ownership, seams and states of cells, by a model that sees the same thing wherever the grid lies."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.measure import label

from morula.common.geometry import Grid
from morula.common.pixels import Region
from morula.segmenter.core import SEAM_PX, Columns, Layout, join, median_diameter_um, segment_region
from morula.segmenter.instances import Instances, Wanted
from morula.segmenter.outlines import outline

SIDE_PX, TILE_PX, HALO_PX = 320, 48, 24


def dark_spots(pixels: NDArray[np.uint8], mpp: float, wanted: Wanted, _: object = None) -> Instances:
    """A model that depends on nothing but the pixels of the object itself."""
    labels = label(pixels[..., 0] < 128, connectivity=1)
    return Instances(labels.astype(np.int32), np.ones(labels.max(), np.float32))


def slide_of_discs(seed: int, disc_count: int = 60) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """White with dark discs that do not touch, and the centroids of their pixels."""
    rng = np.random.default_rng(seed)
    image = np.full((SIDE_PX, SIDE_PX, 3), 255, np.uint8)
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX] + 0.5
    taken = np.zeros((SIDE_PX, SIDE_PX), bool)
    for centre_x, centre_y, radius in zip(
        rng.uniform(0, SIDE_PX, disc_count),
        rng.uniform(0, SIDE_PX, disc_count),
        rng.uniform(1, 9, disc_count),
        strict=True,
    ):
        away = np.hypot(x - centre_x, y - centre_y)
        if not taken[away <= radius + 2].any():
            taken[away <= radius + 2] = True
            image[away <= radius] = 0
    return image, outline(dark_spots(image, 0.5, Wanted())).centroids


def regions(image: NDArray[np.uint8], grid: Grid, side: int) -> list[Region]:
    """All regions of the grid with their halo; what is beyond the slide is white."""
    framed = np.pad(image, ((SIDE_PX,) * 2, (SIDE_PX,) * 2, (0, 0)), constant_values=255)
    cut = []
    for square in range(grid.region_count(side)):
        window = grid.window(grid.bounds(grid.region_tiles(square, side)), HALO_PX)
        left, top = int(window.x_px) + SIDE_PX, int(window.y_px) + SIDE_PX
        pixels = framed[top : top + window.height, left : left + window.width]
        cut.append(Region(square, window.x_px, window.y_px, 1.0, pixels, HALO_PX, 0.5, 0.5))
    return cut


def segmented(
    image: NDArray[np.uint8], grid: Grid, side: int, dropped: frozenset[int] = frozenset(), *, keeps: bool = False
) -> Columns:
    cut = regions(image, grid, side)
    kept = {region.index: grid.region_tiles(region.index, side) for region in cut}
    kept = {index: tiles[~np.isin(tiles, list(dropped))] for index, tiles in kept.items()}
    layout = Layout(grid, side, kept, HALO_PX, keeps)
    return join([segment_region(region, layout, dark_spots, Wanted()) for region in cut if kept[region.index].size])


def places(x: NDArray[np.float64], y: NDArray[np.float64]) -> list[tuple[float, float]]:
    return sorted(zip(x.round(6).tolist(), y.round(6).tolist(), strict=True))


@given(st.integers(-200, 200), st.integers(-200, 200), st.integers(1, 3), st.integers(0, 3))
@settings(max_examples=8, deadline=None)
def test_every_cell_is_reported_once_wherever_the_grid_lies(x: int, y: int, side: int, seed: int) -> None:
    image, centroids = slide_of_discs(seed)
    grid = Grid(x, y, TILE_PX, 0.5, 0.5, SIDE_PX, SIDE_PX)
    cells = segmented(image, grid, side)
    home = grid.regions_of(cells["tile"], side) == cells["region"]
    assert places(cells["x_px"][home], cells["y_px"][home]) == places(centroids[:, 0], centroids[:, 1])
    # A guest is a candidate, and so is the same cell where it is at home.
    guests = set(places(cells["x_px"][~home], cells["y_px"][~home]))
    assert cells["seam"][~home].all()
    assert guests <= set(places(cells["x_px"][home & cells["seam"]], cells["y_px"][home & cells["seam"]]))
    assert np.array_equal(cells["tile"], grid.tiles_at(cells["x_px"], cells["y_px"]))


def test_a_model_is_told_that_a_region_is_part_of_a_slide() -> None:
    image, _ = slide_of_discs(1)
    grid = Grid(0, 0, TILE_PX, 0.5, 0.5, SIDE_PX, SIDE_PX)
    wishes = []

    def listening(pixels: NDArray[np.uint8], mpp: float, wanted: Wanted, _: object = None) -> Instances:
        wishes.append(wanted)
        return dark_spots(pixels, mpp, wanted)

    region = regions(image, grid, 2)[0]
    segment_region(region, Layout(grid, 2, {0: grid.region_tiles(0, 2)}, HALO_PX), listening, Wanted(diameter_um=7))
    assert wishes == [Wanted(diameter_um=7, is_part=True)]


def test_candidates_are_the_cells_near_seams_between_regions() -> None:
    image, _ = slide_of_discs(1)
    grid = Grid(0, 0, TILE_PX, 0.5, 0.5, SIDE_PX, SIDE_PX)
    cells = segmented(image, grid, side=2)
    inner = np.arange(2 * TILE_PX, SIDE_PX, 2 * TILE_PX)
    near = np.zeros(cells["tile"].size, bool)
    for name in ("x_px", "y_px"):
        near |= (np.abs(cells[name][:, None] - inner) <= 2 * SEAM_PX).any(axis=1)
    assert near.any()
    assert np.array_equal(cells["seam"], near)


def test_a_guest_s_owner_is_a_candidate_though_it_sees_the_cell_farther_from_the_seam() -> None:
    """A region sees a cell just so near to its seam that it reports it, the next one a px farther away."""
    grid = Grid(0, 0, TILE_PX, 0.5, 0.5, SIDE_PX, SIDE_PX)
    parts = []
    for square, top in ((0, TILE_PX - 1), (grid.region_columns(1), TILE_PX)):
        image = np.full((SIDE_PX, SIDE_PX, 3), 255, np.uint8)
        image[top : top + 7, 20:27] = 0
        kept = {region: grid.region_tiles(region, 1) for region in range(grid.region_count(1))}
        region = next(each for each in regions(image, grid, 1) if each.index == square)
        parts.append(segment_region(region, Layout(grid, 1, kept, HALO_PX), dark_spots, Wanted()))
    cells = join(parts)
    assert cells["y_px"].tolist() == [TILE_PX + 2.5, TILE_PX + 3.5]
    assert cells["seam"].all()


def test_cells_of_tiles_that_were_not_kept_are_left_out() -> None:
    image, _ = slide_of_discs(2)
    grid = Grid(0, 0, TILE_PX, 0.5, 0.5, SIDE_PX, SIDE_PX)
    everything = segmented(image, grid, side=4)
    dropped = frozenset(range(0, grid.tile_count, 3))
    cells = segmented(image, grid, 4, dropped)
    home = grid.regions_of(cells["tile"], 4) == cells["region"]
    assert not np.isin(cells["tile"][home], list(dropped)).any()
    stays = ~np.isin(everything["tile"], list(dropped)) & ~everything["seam"]
    assert set(places(everything["x_px"][stays], everything["y_px"][stays])) <= set(
        places(cells["x_px"], cells["y_px"])
    )


def test_cells_of_tiles_that_were_not_kept_stay_by_parameter_where_the_halo_shows_them_whole() -> None:
    image, _ = slide_of_discs(2)
    grid = Grid(0, 0, TILE_PX, 0.5, 0.5, SIDE_PX, SIDE_PX)
    everything = segmented(image, grid, side=4)
    dropped = frozenset(range(0, grid.tile_count, 3))
    plain, more = segmented(image, grid, 4, dropped), segmented(image, grid, 4, dropped, keeps=True)
    added = set(places(more["x_px"], more["y_px"])) - set(places(plain["x_px"], plain["y_px"]))
    whole = set(places(everything["x_px"], everything["y_px"]))
    assert len(added) > 5
    assert added <= whole, "nothing that the halo cuts is taken for a cell"
    assert set(places(plain["x_px"], plain["y_px"])) <= set(places(more["x_px"], more["y_px"]))
    tiles = grid.tiles_at(*np.array(sorted(added)).T)
    assert np.isin(tiles, list(dropped)).all()


@pytest.mark.parametrize(
    ("box", "state"),
    [
        ((100, 100, 110, 110), "whole"),
        ((0, 100, 12, 110), "slide_edge"),
        ((100, SIDE_PX - 8, 110, SIDE_PX), "slide_edge"),
        ((60, 100, 150, 110), "truncated"),
    ],
)
def test_states(box: tuple[int, int, int, int], state: str) -> None:
    x_min, y_min, x_max, y_max = box
    image = np.full((SIDE_PX, SIDE_PX, 3), 255, np.uint8)
    image[y_min:y_max, x_min:x_max] = 0
    grid = Grid(0, 0, TILE_PX, 0.5, 0.5, SIDE_PX, SIDE_PX)
    cells = segmented(image, grid, side=2)
    home = grid.regions_of(cells["tile"], 2) == cells["region"]
    assert set(cells["state"][home]) == {state}


def test_what_goes_deep_into_several_regions_is_reported_by_each() -> None:
    image = np.full((SIDE_PX, SIDE_PX, 3), 255, np.uint8)
    image[100:110, 10:305] = 0  # Through all columns of regions.
    image[200:210, 96 - 10 : 96 + 50] = 0  # The second region's halo shows all of it.
    grid = Grid(0, 0, TILE_PX, 0.5, 0.5, SIDE_PX, SIDE_PX)
    cells = segmented(image, grid, side=2)
    long, short = (cells["y_px"] == y for y in (105, 205))
    columns = grid.regions_of(grid.tiles_at([0, 96, 192, 288], [105] * 4), 2).tolist()
    assert sorted(cells["region"][long].tolist()) == columns[:3], "the last region's part is no deeper than its halo"
    assert cells["seam"][long].all()
    assert (cells["state"][long] == "truncated").all()
    assert cells["region"][short].tolist() == grid.regions_of(grid.tiles_at([100], [205]), 2).tolist()
    assert not cells["seam"][short].any()

    unkept = frozenset(range(grid.tile_count)) - set(grid.region_tiles(columns[0], 2).tolist())
    assert segmented(image, grid, 2, unkept)["region"].tolist() == [columns[0]], "no kept tile has a part of it"


def test_coordinates_are_level_0_and_boxes_half_open() -> None:
    pixels = np.full((40, 50, 3), 255, np.uint8)
    pixels[10:14, 20:26] = 0
    grid = Grid(0, 0, 200, 1.0, 0.25, 4000, 4000)
    region = Region(0, 400.0, 800.0, 4.0, pixels, 0, 1.0, 0.25)
    cells = segment_region(region, Layout(grid, 4, {0: grid.region_tiles(0, 4)}, 0), dark_spots, Wanted())
    assert [cells[name][0] for name in ("x_min_px", "y_min_px", "x_max_px", "y_max_px")] == [480, 840, 504, 856]
    assert (cells["x_px"][0], cells["y_px"][0]) == (492, 848)
    assert cells["area_um2"][0] == 24
    assert shapely.from_wkb(cells["geometry"][0]).bounds == (480, 840, 504, 856)


def test_one_pixel_is_a_cell() -> None:
    labels = np.zeros((3, 3), np.int32)
    labels[1, 1] = 1
    found = outline(Instances(labels, np.array([0.5], np.float32)))
    assert found.centroids.tolist() == [[1.5, 1.5]]
    assert found.polygons[0].area == 1


def test_scores_stay_with_their_objects_when_labels_are_missing() -> None:
    labels = np.array([[0, 2, 2], [0, 0, 0], [5, 5, 0]], np.int32)
    found = outline(Instances(labels, np.arange(5, dtype=np.float32) / 10))
    assert found.scores.tolist() == pytest.approx([0.1, 0.4])


def test_the_median_diameter_of_nothing_is_nothing() -> None:
    assert median_diameter_um([]) == (0.0, 0)
    assert median_diameter_um([np.array([4.0, 8.0]), np.array([6.0])]) == (6.0, 3)
