"""Cells that points, outlines and regions mean, held to a matcher that looks at every pair."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import shapely

from morula.common.errors import TooLarge
from morula.evaluator import matching, work
from morula.evaluator.matching import HOWS, LEAST_OVERLAP, Pairs, Slide, match
from morula.evaluator.truth import Shapes

MPP = 0.5
REACH_UM = 4.0


def slide_of(cells: list[shapely.Polygon]) -> Slide:
    shapes = np.array(cells, dtype=object)
    centres = shapely.centroid(shapes)
    return Slide(shapely.get_x(centres), shapely.get_y(centres), MPP, lambda rows: shapes[rows])


def told(pairs: Pairs) -> set[tuple[int, int, str]]:
    return {
        (s, r, HOWS[h]) for s, r, h in zip(pairs.shape.tolist(), pairs.row.tolist(), pairs.how.tolist(), strict=True)
    }


def overlap(a: shapely.Polygon, b: shapely.Polygon) -> float:
    return float(a.intersection(b).area / a.union(b).area)


def plain(
    cells: list[shapely.Polygon], shapes: list[shapely.Geometry], regions: list[bool]
) -> set[tuple[int, int, str]]:
    """The same by the words of the module, pair by pair."""
    found: dict[int, tuple[int, str]] = {}
    for s, shape in enumerate(shapes):
        if shape.geom_type == "Point":
            inside = [(cell.area, r) for r, cell in enumerate(cells) if cell.covers(shape)]
            if inside:
                found[s] = (min(inside)[1], "outline")
    outlines = [s for s, shape in enumerate(shapes) if shape.geom_type == "Polygon" and not regions[s]]
    alike = [(-overlap(shapes[s], cell), s, r) for s in outlines for r, cell in enumerate(cells)]
    taken: set[int] = set()
    for score, s, r in sorted(alike):
        if -score >= LEAST_OVERLAP and s not in found and r not in taken:
            found[s] = (r, "overlap")
            taken.add(r)
    singles = [s for s in range(len(shapes)) if not regions[s]]
    away = [(shapes[s].centroid.distance(cell.centroid), s, r) for s in singles for r, cell in enumerate(cells)]
    taken = {r for r, _ in found.values()}
    nearest: dict[int, int] = {}
    for distance, s, r in sorted(away):
        if distance <= REACH_UM / MPP and s not in found and s not in nearest and r not in taken:
            nearest[s] = r
            taken.add(r)
    found |= {s: (r, "centroid") for s, r in nearest.items()}
    pairs = {(s, r, how) for s, (r, how) in found.items()}
    for r, cell in enumerate(cells):
        around = [(shapes[s].area, s) for s in range(len(shapes)) if regions[s] and shapes[s].intersects(cell.centroid)]
        if around and r not in taken:
            pairs.add((min(around)[1], r, "region"))
    return pairs


@pytest.mark.parametrize(("seed", "at_once"), [(0, 1), (1, 300), (2, 3000), (3, 10**6)])
def test_the_matcher_finds_what_a_slow_and_plain_one_finds(seed: int, at_once: int) -> None:
    rng = np.random.default_rng(seed)

    def blob(x: float, y: float) -> shapely.Polygon:
        return shapely.affinity.scale(shapely.Point(x, y).buffer(1, 6), rng.uniform(5, 12), rng.uniform(5, 12))

    cells = [blob(*rng.uniform(0, 400, 2)) for _ in range(150)]
    shapes: list[shapely.Geometry] = [shapely.Point(*rng.uniform(-20, 420, 2)) for _ in range(80)]
    shapes += [blob(*(np.array(cells[n].centroid.coords[0]) + rng.normal(0, 4, 2))) for n in range(0, 150, 3)]
    shapes += [shapely.box(x, y, x + side, y + side) for x, y, side in rng.uniform(0, 200, (4, 3))]
    regions = [False] * (len(shapes) - 4) + [True] * 4
    found = match(slide_of(cells), np.array(shapes, dtype=object), np.array(regions), REACH_UM, pairs_at_once=at_once)
    assert told(found) == plain(cells, shapes, regions)
    assert {how for *_, how in told(found)} == set(HOWS)


def test_two_points_in_a_cell_both_mean_it_and_one_beyond_reach_means_none() -> None:
    cell = shapely.box(0, 0, 20, 20)
    points = np.array([shapely.Point(5, 5), shapely.Point(15, 15), shapely.Point(10, 40)], dtype=object)
    found = match(slide_of([cell]), points, np.zeros(3, bool), REACH_UM)
    assert told(found) == {(0, 0, "outline"), (1, 0, "outline")}


def test_a_slide_without_cells_has_none_that_is_meant() -> None:
    found = match(slide_of([]), np.array([shapely.Point(0, 0), shapely.box(0, 0, 9, 9)]), np.array([False, True]), 4.0)
    assert not len(found.shape)


def test_shapes_that_all_lie_on_each_other_are_refused() -> None:
    places = np.arange(100_000) % 1000
    slide = Slide(places * 1.0, places * 1.0, MPP, lambda rows: np.array([shapely.Point(0, 0).buffer(3)] * len(rows)))
    shapes = np.array([shapely.box(0, 0, 1000, 1000)] * 3000, dtype=object)
    with pytest.raises(TooLarge, match="lie on each other"):
        match(slide, shapes, np.ones(len(shapes), bool), REACH_UM)


def test_points_that_mean_too_many_cells_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    slide = slide_of([shapely.box(n, 0, n + 1, 1) for n in range(20)])
    points = np.array([shapely.Point(n, 5) for n in range(20)], dtype=object)
    monkeypatch.setattr(matching, "KEPT_LIMIT", 100)
    with pytest.raises(TooLarge, match="reach less far"):
        match(slide, points, np.zeros(20, bool), 20 * REACH_UM)


def test_each_annotator_is_matched_alone_for_the_nearest_cell_is_the_same_to_both() -> None:
    points = np.array([shapely.Point(1, 3), shapely.Point(1, 3), shapely.Point(9, 3)], dtype=object)
    words = {"annotator": pa.array(["a", "b", "a"])}
    truth = Shapes("points", points, np.zeros(3, bool), pa.array(["x", "x", "y"]), words)
    assert [part.tolist() for part in work.by_annotator(truth, np.arange(3))] == [[0, 2], [1]]
    slide = slide_of([shapely.box(0, 0, 2, 2), shapely.box(8, 0, 10, 2)])
    found = [told(match(slide, points[mine], np.zeros(len(mine), bool), REACH_UM)) for mine in ([0, 2], [1])]
    assert found == [{(0, 0, "centroid"), (1, 1, "centroid")}, {(0, 0, "centroid")}]
