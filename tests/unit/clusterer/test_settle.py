"""Cells seen twice are settled once, whatever the order of what was seen."""

from __future__ import annotations

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from morula.clusterer import settle
from morula.clusterer.outlines import outlines
from morula.clusterer.settle import Cells, Identity
from morula.common.formats import decode_outline
from morula.common.geometry import BLOCK_PX

IDENTITY = Identity("0" * 64, "nucleus", ("watershed", "1" * 64), 0.5, 0.25)


def cells(rows: list[dict[str, object]]) -> Cells:
    """Square cells, or boxes, from the few things that matter to a test."""
    x, y = (np.asarray([row[name] for row in rows], float) for name in ("x", "y"))
    width, height = (np.asarray([row.get(name, row.get("side", 8.0)) for row in rows], float) for name in ("w", "h"))
    region = np.asarray([row.get("region", 0) for row in rows], np.int64)
    return Cells(
        shard=np.asarray([row.get("shard", row.get("region", 0)) for row in rows], np.int64),
        row=np.arange(len(rows), dtype=np.int64),
        x=x,
        y=y,
        polygon=shapely.box(x - width / 2, y - height / 2, x + width / 2, y + height / 2),
        score=np.asarray([row.get("score", 0.5) for row in rows], np.float32),
        state=np.asarray([row.get("state", "whole") for row in rows], object),
        tile=np.zeros(len(rows), np.int64),
        region=region,
        seam=np.asarray([row.get("seam", True) for row in rows], bool),
        area_um2=(width * height * 0.0625).astype(np.float32),
    )


@settings(max_examples=30)
@given(
    places=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=12, unique=True),
    twins=st.lists(st.tuples(st.integers(0, 11), st.floats(-1.5, 1.5), st.floats(-1.5, 1.5)), max_size=12),
)
def test_planted_twins_are_found_and_nothing_else_is_lost(
    places: list[tuple[int, int]], twins: list[tuple[int, float, float]]
) -> None:
    originals = [{"x": 20.0 * x + 10, "y": 20.0 * y + 10, "score": 0.9, "region": 0} for x, y in places]
    copies = [
        {"x": originals[n % len(places)]["x"] + dx, "y": originals[n % len(places)]["y"] + dy, "region": 1 + k}
        for k, (n, dx, dy) in enumerate(twins)
    ]
    seen = cells(originals + copies)
    settled = settle.settle(seen, IDENTITY)
    assert settled.dropped_count == len(copies)
    assert sorted(zip(settled.cells.x, settled.cells.y, strict=True)) == sorted(
        (float(cell["x"]), float(cell["y"])) for cell in originals
    )


def test_the_whole_cell_wins_then_the_larger_score_then_the_earlier() -> None:
    cut_off = {"x": 100.0, "y": 100.0, "score": 0.9, "state": "truncated", "region": 0}
    whole = {"x": 101.0, "y": 100.0, "score": 0.2, "region": 1}
    weak = {"x": 300.0, "y": 300.0, "score": 0.4, "region": 0}
    strong = {"x": 301.0, "y": 300.0, "score": 0.6, "region": 1}
    first = {"x": 500.0, "y": 500.0, "region": 0}
    second = {"x": 500.0, "y": 501.0, "region": 1}
    keep = settle.resolve(cells([cut_off, whole, weak, strong, first, second]), 1.0)
    assert keep.tolist() == [False, True, False, True, True, False]


def test_neighbours_of_one_region_and_cells_off_the_seam_are_left_alone() -> None:
    touching = [{"x": 100.0, "y": 100.0, "region": 0}, {"x": 102.0, "y": 100.0, "region": 0}]
    inside = [
        {"x": 200.0, "y": 200.0, "region": 0, "seam": False},
        {"x": 201.0, "y": 200.0, "region": 1, "seam": False},
    ]
    assert settle.resolve(cells(touching + inside), 1.0).all()


def test_a_region_that_was_cut_again_is_taken_from_its_last_cut_alone() -> None:
    seen_once = [{"x": 30.0 * n + 10, "y": 10.0, "region": 0, "shard": 0, "seam": False} for n in range(5)]
    neighbour = {"x": 500.0, "y": 10.0, "region": 1, "shard": 0, "seam": False}
    emptied = {"x": 900.0, "y": 10.0, "region": 2, "shard": 0, "seam": False}
    again = [{"x": 30.0 * n + 11, "y": 10.0, "region": 0, "shard": 1, "seam": False} for n in range(1, 4)]
    joined = settle.join([(cells([*seen_once, neighbour, emptied]), [0, 1, 2]), (cells(again), [0, 2])])
    assert list(zip(joined.shard.tolist(), joined.region.tolist(), joined.x.tolist(), strict=True)) == [
        (0, 1, 500.0),
        (1, 0, 41.0),
        (1, 0, 71.0),
        (1, 0, 101.0),
    ]


def fibre(left: float, right: float, region: int, **more: object) -> dict[str, object]:
    """A horizontal fibre, or what one view shows of it; no seam is near the middle of any."""
    return {"x": (left + right) / 2, "y": 50.0, "w": right - left, "h": 10.0, "region": region, "seam": False, **more}


@settings(max_examples=30)
@given(st.integers(0, 900), st.integers(100, 700), st.permutations(range(3)))
def test_a_whole_fibre_beats_the_pieces_that_others_saw(start: int, overlap: int, order: list[int]) -> None:
    """Its middle lies far from every seam: it is no candidate by itself."""
    whole = fibre(start, start + 1000, 1, score=0.2)
    left = fibre(start, start + overlap, 0, state="truncated", score=0.9)
    right = fibre(start + 1000 - overlap, start + 1000, 2, state="truncated", score=0.9)
    seen = [[whole, left, right][n] for n in order]
    keep = settle.resolve(cells(seen), 1.0)
    assert [row.get("state", "whole") for row, stays in zip(seen, keep, strict=True) if stays] == ["whole"]


def test_what_a_whole_fibre_does_not_cover_stays() -> None:
    whole = fibre(0, 1000, 1)
    beside = {**fibre(0, 1000, 0, state="truncated"), "y": 58.0}
    nucleus = {"x": 500.0, "y": 65.0, "region": 0, "seam": False}
    assert settle.resolve(cells([whole, beside, nucleus]), 1.0).all()


def test_two_whole_views_of_a_fibre_are_one_and_of_two_pieces_the_larger_stays() -> None:
    views = [fibre(0, 1000, 0, seam=True), fibre(0, 1001, 1, seam=True)]
    assert settle.resolve(cells(views), 1.0).tolist() == [True, False]
    pieces = [fibre(0, 900, 0, state="truncated", score=0.9), fibre(500, 1900, 1, state="truncated", score=0.1)]
    settled = settle.settle(cells(pieces), IDENTITY)
    assert (settled.cells.x.tolist(), settled.truncated_count) == ([1200.0], 1)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 9000), st.floats(0, 9000)), min_size=1, max_size=60))
def test_rows_are_runs_of_blocks_sorted_within(places: list[tuple[float, float]]) -> None:
    seen = cells([{"x": x, "y": y, "seam": False} for x, y in places])
    settled = settle.settle(seen, IDENTITY)
    assert [start for *_, start, _ in settled.blocks] == [0, *(stop for *_, stop in settled.blocks)][:-1]
    assert settled.blocks[-1][3] == len(settled.cells) == len(places)
    assert len({block[:2] for block in settled.blocks}) == len(settled.blocks)
    for block_x, block_y, start, stop in settled.blocks:
        rows = settled.cells.take(np.arange(start, stop))
        assert set(rows.x // BLOCK_PX) == {block_x}
        assert set(rows.y // BLOCK_PX) == {block_y}
        assert list(zip(rows.y, rows.x, strict=True)) == sorted(zip(rows.y, rows.x, strict=True))


def test_ids_do_not_depend_on_what_else_was_seen_and_differ_on_one_spot() -> None:
    small, large = (
        {"x": 10.2, "y": 10.2, "side": 4.0, "seam": False},
        {"x": 10.4, "y": 10.4, "side": 9.0, "seam": False},
    )
    alone = settle.settle(cells([large]), IDENTITY).cell_ids[0]
    both = settle.settle(cells([small, large]), IDENTITY)
    assert len(set(both.cell_ids)) == 2
    assert both.cell_ids[int(both.cells.area_um2.argmax())] == alone


def test_density_counts_others_within_25_um() -> None:
    x = np.array([0.0, 80.0, 96.0, 500.0])
    area_mm2 = np.pi * 0.025**2
    assert np.allclose(settle.density_per_mm2(x, np.zeros(4), 0.25) * area_mm2, [2, 2, 2, 0], atol=1e-3)


def pixel_disc(radius: int) -> shapely.Polygon:
    """A disc along pixel edges."""
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    inside = rows**2 + columns**2 <= radius**2
    pixels = [shapely.box(x, y, x + 1, y + 1) for y, x in zip(rows[inside], columns[inside], strict=True)]
    return shapely.union_all(pixels)


def test_outlines_are_lighter_and_faithful() -> None:
    full = np.asarray([pixel_disc(radius) for radius in (1, 4, 8, 25)], object)
    rings, holes = outlines(full, np.zeros(4), np.zeros(4))
    assert not holes
    light = [shapely.Polygon(decode_outline(ring, 0.0, 0.0)) for ring in rings]
    for polygon, lighter in zip(full, light, strict=True):
        assert lighter.is_valid
        assert polygon.intersection(lighter).area / polygon.union(lighter).area >= 0.98
        assert shapely.get_num_coordinates(lighter) <= shapely.get_num_coordinates(polygon)
    assert shapely.get_num_coordinates(light[3]) < 0.5 * shapely.get_num_coordinates(full[3])


def test_no_cells_have_no_outlines() -> None:
    assert outlines(np.zeros(0, object), np.zeros(0), np.zeros(0)) == ([], {})


def test_holes_are_as_faithful_and_cross_no_wall() -> None:
    disc, nucleus = pixel_disc(25), pixel_disc(12)
    # A bump that is light enough to go, but for the hole in it.
    bump = shapely.box(0, 0, 200, 200) | shapely.box(90, -8, 98, 0)
    full = np.asarray([disc - nucleus, nucleus, disc - pixel_disc(23), bump - shapely.box(93, -5, 95, -3)], object)
    rings, holes = outlines(full, np.zeros(4), np.zeros(4))
    assert {row: len(inner) for row, inner in holes.items()} == {0: 1, 2: 1, 3: 1}
    for number, polygon in enumerate(full):
        decoded = [decode_outline(ring, 0.0, 0.0) for ring in (rings[number], *holes.get(number, ()))]
        lighter = shapely.Polygon(decoded[0], decoded[1:])
        assert lighter.is_valid
        assert polygon.intersection(lighter).area / polygon.union(lighter).area >= 0.98
    assert len(holes[0][0]) / 2 < shapely.get_num_coordinates(nucleus)
