"""Scales, windows, regions and shards on synthetic numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morula.common.errors import InvalidArgument, SlideUnreadable
from morula.common.geometry import Box
from morula.tiler import core
from morula.tiler.slide import Level, Pixels

PYRAMID = (Level(8000, 6000, 1.0), Level(2000, 1500, 4.0), Level(500, 375, 16.0))


@pytest.mark.parametrize(
    ("slide_mpp", "target", "level", "step"),
    [
        (0.499, 0.5, 0, 1.0),
        (0.25, 0.5, 0, 2.0),
        (0.25, 1.0, 1, 1.0),
        (0.2498, 1.0, 1, 1.0),
        (0.2628, 0.5, 0, 61 / 32),
        (0.2, 1.0, 1, 1.25),
        (1.0, 0.5, 0, 0.5),
    ],
)
def test_a_level_near_the_target_is_taken_as_it_is_else_the_finer_one(
    slide_mpp: float, target: float, level: int, step: float
) -> None:
    scale = core.choose_scale(PYRAMID, slide_mpp, target, 512)
    assert scale.level == level
    assert scale.step == pytest.approx(step, abs=1e-6)


@settings(deadline=None)
@given(st.floats(0.1, 2.0), st.floats(0.1, 4.0), st.sampled_from([240, 256, 500, 512, 509]))
def test_the_true_scale_is_within_five_percent_of_the_target(slide_mpp: float, target: float, tile_px: int) -> None:
    scale = core.choose_scale(PYRAMID, slide_mpp, target, tile_px)
    if scale.source_px > 16:
        assert abs(slide_mpp * scale.downsample / target - 1) <= 0.05
    assert tile_px % scale.unit_px == 0


def test_windows_of_one_slide_agree_where_they_overlap() -> None:
    scale = core.choose_scale((Level(3000, 3000, 1.0),), 0.23, 0.5, 128)
    assert scale.step != round(scale.step)
    grid = core.make_grid(scale, 0.23, (3000, 3000), 128, (-37, 11))
    source = np.random.default_rng(0).integers(0, 255, (3400, 3400, 3), np.uint8)

    def read(_: int, x: int, y: int, width: int, height: int) -> Pixels:
        return source[y + 200 : y + 200 + height, x + 200 : x + 200 + width]

    left, right = (core.window_of(grid.core(tile), scale, grid, 20) for tile in (grid.columns + 1, grid.columns + 2))
    one, other = (
        core.decode(window, 128, core.blocks((window.width, window.height), 1024), read).pixels
        for window in (left, right)
    )
    assert left.v == right.v
    shift = right.u - left.u
    np.testing.assert_array_equal(one[:, shift:], other[:, : one.shape[1] - shift])


def test_a_window_covers_its_box_and_the_halo() -> None:
    scale = core.choose_scale((Level(3000, 3000, 1.0),), 0.23, 0.5, 128)
    grid = core.make_grid(scale, 0.23, (3000, 3000), 128, (0, 0))
    box = grid.bounds([0, 1, grid.columns])
    window = core.window_of(box, scale, grid, 16)
    assert (window.width, window.height) == (2 * 128 + 32, 2 * 128 + 32)
    assert (window.x_px, window.y_px) == pytest.approx((-16 * scale.downsample,) * 2)
    rows, columns = window.place(grid.core(1))
    assert (columns.start, columns.stop) == (16 + 128, 16 + 256)
    assert (rows.start, rows.stop) == (16, 16 + 128)


def test_region_positions_follow_the_levels_true_downsample() -> None:
    levels = (Level(4001, 4001, 1.0), Level(1000, 1000, 4.001))
    scale = core.choose_scale(levels, 0.25, 1.0, 64)
    grid = core.make_grid(scale, 0.25, (4001, 4001), 64, (0, 0))
    tile = grid.tile_at(3000, 3000)
    window = core.window_of(grid.core(tile), scale, grid, 0)
    assert window.x_px == window.u * 4.001
    assert abs(window.x_px - grid.core(tile).x_px) <= 4.001


@settings(deadline=None)
@given(st.integers(1, 90), st.integers(1, 70), st.integers(1, 8), st.integers(1, 64), st.integers(0, 2**32 - 1))
def test_every_candidate_is_in_one_region_of_one_shard_that_is_not_too_full(
    columns: int, rows: int, region_tile_count: int, shard_tile_count: int, seed: int
) -> None:
    scale = core.WorkingScale(0, 1.0, 1, 1)
    grid = core.make_grid(scale, 0.5, (columns * 64, rows * 64), 64, (0, 0))
    candidates = np.random.default_rng(seed).random(grid.tile_count) < 0.4
    side = core.region_side(region_tile_count, shard_tile_count, 64, 8)
    groups = core.group_tiles(grid, candidates, side, shard_tile_count)
    assert ((groups.shard >= 0) == candidates).all()
    assert ((groups.region >= 0) == candidates).all()
    if not candidates.any():
        assert groups.shard_count == 0
        return
    held = np.bincount(groups.shard[candidates])
    assert len(held) == groups.shard_count
    assert held.min() >= 1
    assert held.max() <= shard_tile_count
    for region in np.unique(groups.region[candidates]):
        tiles = np.flatnonzero(groups.region == region)
        row, column = np.divmod(tiles, grid.columns)
        assert np.ptp(row) < side
        assert np.ptp(column) < side
        assert len(np.unique(groups.shard[tiles])) == 1


def test_tiles_too_many_or_too_large_are_refused() -> None:
    scale = core.WorkingScale(0, 1.0, 1, 1)
    with pytest.raises(InvalidArgument, match="more than"):
        core.make_grid(scale, 0.25, (200_000, 200_000), 16, (0, 0))
    with pytest.raises(InvalidArgument, match="exceed"):
        core.region_side(4, 64, 16_384, 32)


def test_what_cannot_be_read_is_lost_tile_by_tile() -> None:
    window = core.SourceWindow(core.WorkingScale(0, 1.0, 1, 1), 0, 0, -32, -32, 4 * 256 + 64, 2 * 256 + 64)

    def read(_: int, x: int, y: int, width: int, height: int) -> Pixels:
        if x < 300 < x + width and y < 300 < y + height:
            raise SlideUnreadable("a bad spot")
        return np.zeros((height, width, 3), np.uint8)

    decoded = core.decode(window, 256, core.blocks((window.width, window.height), 1024), read)
    lost = decoded.pixels[..., 0] == 255
    assert lost.sum() == 256 * 256
    assert lost[32 + 256 : 32 + 512, 32 + 256 : 32 + 512].all()
    assert decoded.is_unreadable(window.place(Box(256, 256, 256, 256)))
    assert not decoded.is_unreadable(window.place(Box(512, 256, 256, 256)))


def test_only_the_places_asked_for_are_read() -> None:
    window = core.SourceWindow(core.WorkingScale(0, 1.0, 1, 1), 0, 0, -32, -32, 4 * 256 + 64, 2 * 256 + 64)
    areas = []

    def read(_: int, x: int, y: int, width: int, height: int) -> Pixels:
        areas.append((x, y, width, height))
        return np.zeros((height, width, 3), np.uint8)

    places = [window.around(Box(256 * column, 256 * row, 256, 256), 32) for column, row in ((0, 0), (3, 1))]
    decoded = core.decode(window, 256, places, read)
    assert sorted(areas) == [(-32, -32, 320, 320), (736, 224, 320, 320)]
    assert (decoded.pixels[..., 0] == 0).sum() == 2 * 320 * 320


def test_a_sample_is_spread_and_bounded() -> None:
    tiles = np.arange(1000)
    assert core.spread(tiles, 5).tolist() == [0, 250, 500, 749, 999]
    assert core.spread(tiles[:3], 5).tolist() == [0, 1, 2]
