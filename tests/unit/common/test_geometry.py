"""Every level-0 pixel belongs to exactly one core, whatever the scale, the origin and the size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morula.common.errors import InvalidArgument
from morula.common.geometry import BLOCK_PX, Box, Grid, blocks_of, hilbert

scales = st.floats(0.05, 8.0, allow_nan=False)
origins = st.integers(-5000, 5000)
sizes = st.integers(1, 400)


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    slide_mpp = draw(scales)
    tile_px = draw(st.integers(1, 300))
    # At least one level-0 pixel per tile, and not more tiles than a test can count.
    mpp = max(draw(scales), slide_mpp / tile_px, slide_mpp * 4 / tile_px)
    return Grid(draw(origins), draw(origins), tile_px, mpp, slide_mpp, draw(sizes), draw(sizes))


@given(grids())
@settings(max_examples=80, deadline=None)
def test_cores_cover_every_pixel_once(grid: Grid) -> None:
    seen = np.zeros((grid.height_px, grid.width_px), np.int32)
    owner = np.full(seen.shape, -1)
    for tile in range(grid.tile_count):
        x, y, width, height = grid.core(tile)
        assert width > 0
        assert height > 0
        seen[y : y + height, x : x + width] += 1
        owner[y : y + height, x : x + width] = tile
    assert (seen == 1).all()
    y, x = np.mgrid[: grid.height_px, : grid.width_px]
    assert (grid.tiles_at(x.ravel(), y.ravel()) == owner.ravel()).all()
    assert (grid.tiles_at(x.ravel() + 0.999, y.ravel() + 0.999) == owner.ravel()).all()
    assert [Box(*core) for core in grid.cores().tolist()] == [grid.core(tile) for tile in range(grid.tile_count)]


@given(grids(), st.floats(-10, 500), st.floats(-10, 500))
@settings(deadline=None)
def test_a_point_lies_in_the_core_of_its_tile_or_beyond_the_slide(grid: Grid, x: float, y: float) -> None:
    tile = grid.tile_at(x, y)
    if Box(0, 0, grid.width_px, grid.height_px).contains(x, y):
        assert grid.core(tile).contains(x, y)
    else:
        assert tile == -1


@given(grids(), st.integers(1, 5))
@settings(deadline=None)
def test_regions_share_out_all_tiles_and_cover_them(grid: Grid, side: int) -> None:
    regions = grid.regions_of(np.arange(grid.tile_count), side)
    shared = [grid.region_tiles(region, side) for region in range(grid.region_count(side))]
    assert sorted(np.concatenate(shared).tolist()) == list(range(grid.tile_count))
    for region, tiles in enumerate(shared):
        assert 0 < len(tiles) <= side * side
        assert (regions[tiles] == region).all()
        bounds = grid.bounds(tiles)
        area = sum(grid.core(int(tile)).width_px * grid.core(int(tile)).height_px for tile in tiles)
        assert area == bounds.width_px * bounds.height_px


@given(grids(), st.integers(0, 64))
@settings(deadline=None)
def test_a_window_covers_its_box_and_halo(grid: Grid, halo_px: int) -> None:
    box = grid.core(grid.tile_count - 1)
    window = grid.window(box, halo_px)
    slack = 1e-5 * window.downsample
    margin = halo_px * window.downsample
    assert window.x_px == pytest.approx(box.x_px - margin)
    assert window.x_px + window.width * window.downsample >= box.x_stop_px + margin - slack
    assert window.y_px + window.height * window.downsample >= box.y_stop_px + margin - slack
    # And no more than a pixel too much.
    assert window.width - 2 * halo_px <= box.width_px / window.downsample + 1
    assert window.height - 2 * halo_px <= box.height_px / window.downsample + 1


def test_the_usual_grid() -> None:
    grid = Grid(0, 0, 512, 0.5, 0.25, 2500, 1024)
    assert (grid.columns, grid.rows, grid.downsample) == (3, 1, 2.0)
    assert grid.core(0) == (0, 0, 1024, 1024)
    assert grid.core(2) == (2048, 0, 452, 1024)
    assert grid.window(grid.bounds([0, 1]), 32) == (-64.0, -64.0, 1088, 576, 2.0)


def test_rounding_never_adds_a_pixel() -> None:
    for slide_mpp in np.linspace(0.2, 0.6, 1000):
        grid = Grid(0, 0, 2048, 0.5, float(slide_mpp), 100_000, 100_000)
        assert grid.window(grid.core(0)).width in (2048, 2049)
        exact = Grid(0, 0, 2048, 0.5 * 2, 0.5, 100_000, 100_000)
        assert exact.window(exact.core(0)).width == 2048


@pytest.mark.parametrize(
    "change",
    [{"tile_px": 0}, {"mpp": 0.0}, {"mpp": float("nan")}, {"slide_mpp": -1.0}, {"width_px": 0}, {"slide_mpp": 300.0}],
)
def test_a_grid_that_makes_no_sense_is_refused(change: dict[str, float]) -> None:
    plain = {"tile_px": 512, "mpp": 0.5, "slide_mpp": 0.25, "width_px": 100, "height_px": 100}
    with pytest.raises(InvalidArgument):
        Grid(0, 0, **{**plain, **change})  # type: ignore[arg-type]


def test_there_are_no_tiles_and_regions_beyond_the_grid() -> None:
    grid = Grid(0, 0, 10, 1.0, 1.0, 100, 100)
    for tile in (-1, 100):
        with pytest.raises(InvalidArgument):
            grid.core(tile)
    with pytest.raises(InvalidArgument):
        grid.region_tiles(25, 2)


@pytest.mark.parametrize("order", [1, 2, 3, 6])
def test_hilbert_visits_every_block_once_and_never_jumps(order: int) -> None:
    side = 1 << order
    y, x = np.mgrid[:side, :side]
    place = hilbert(x.ravel(), y.ravel(), order)
    assert sorted(place.tolist()) == list(range(side * side))
    along = np.argsort(place)
    steps = np.abs(np.diff(x.ravel()[along])) + np.abs(np.diff(y.ravel()[along]))
    assert (steps == 1).all()


@given(st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 65535)), unique=True, max_size=200))
def test_hilbert_of_any_blocks_is_one_to_one(blocks: list[tuple[int, int]]) -> None:
    places = hilbert([x for x, _ in blocks], [y for _, y in blocks])
    assert len(set(places.tolist())) == len(blocks)


def test_blocks_that_no_slide_has_are_refused() -> None:
    with pytest.raises(InvalidArgument):
        hilbert([-1], [0])
    with pytest.raises(InvalidArgument):
        hilbert([0], [1 << 16])


def test_blocks_are_half_open() -> None:
    x, y = blocks_of([0, BLOCK_PX - 0.001, BLOCK_PX], [0, 3 * BLOCK_PX, 5])
    assert (x.tolist(), y.tolist()) == ([0, 0, 1], [0, 3, 0])
