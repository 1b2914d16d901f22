"""What is drawn on tiles, and which cells stand for their clusters."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from morula.evaluator.published_files import AnnotatedCell, AnnotatedTile, Annotations
from morula.onebox.failures import WrongUse
from morula.onebox.published_overlays import Overlay, drawn, overlay_of
from morula.onebox.published_representatives import Choice, choose

BLANK = np.full((512, 512, 3), 240, np.uint8)


def cell(number: int, *, cluster: int | None = 1, sure: float = 0.5, named: str = "Duct") -> AnnotatedCell:
    left, top = 20 + 60 * (number % 8), 40 + 60 * (number // 8)
    square = [(left, top), (left + 30, top), (left + 30, top + 30), (left, top + 30), (left, top)]
    return AnnotatedCell(
        cell_id=number + 1, label_id=number + 1, polygon=square, pred_class=named, cluster_id=cluster,
        cluster_confidence=sure, bbox=(left, top, left + 30, top + 30),
    )  # fmt: skip


def colour_at(picture: Any, number: int) -> tuple[int, ...]:
    return tuple(picture[40 + 60 * (number // 8) + 15, 20 + 60 * (number % 8)].tolist())


def hashed(value: object) -> tuple[int, ...]:
    """As the published system has it, whose pictures are BGR."""
    return tuple(50 + byte % 206 for byte in hashlib.sha256(str(value).encode()).digest()[:3])[::-1]


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        ({"color_by": "cluster_id"}, hashed(1)),
        ({"color_by": "pred_class"}, hashed("Duct")),
        ({"color_by": "none"}, (255, 255, 255)),
        ({"draw_polygon": False, "draw_bbox": True}, hashed(1)),
        ({"draw_polygon": False}, (240, 240, 240)),
        ({"max_labels": 0}, (240, 240, 240)),
    ],
)
def test_lines_have_the_published_colours(overlay: dict[str, Any], expected: tuple[int, ...]) -> None:
    assert colour_at(drawn(BLANK, [cell(0)], Overlay(text=False, **overlay)), 0) == expected


def test_noise_has_a_colour_and_no_cluster_is_grey() -> None:
    picture = drawn(BLANK, [cell(0, cluster=-1), cell(1, cluster=None)], Overlay(text=False))
    assert [colour_at(picture, number) for number in (0, 1)] == [hashed(-1), (128, 128, 128)]


def test_words_stand_on_dark_and_grow() -> None:
    plain, small, large = (
        drawn(BLANK, [cell(9)], overlay)
        for overlay in (Overlay(text=False), Overlay(), Overlay(text_scale=0.9, text_use=("cluster_id",)))
    )
    assert (plain != small).any()
    assert (small != large).any()
    assert small.min() < plain.min()


@pytest.mark.parametrize(
    ("overlay", "count"),
    [
        ({}, 2),
        ({"text_use": ("pred_class",)}, 1),
        ({"text": False, "color_by": "pred_class"}, 1),
        ({"text_use": ("pred_class",), "filter_unclassified": False}, 2),
    ],
)
def test_cells_without_a_class_are_left_out_where_classes_are_shown(overlay: dict[str, Any], count: int) -> None:
    cells = [cell(0), cell(1, named="Unclassified")]
    picture = drawn(BLANK, cells, Overlay(**overlay))
    assert sum(colour_at(picture, number) != (240, 240, 240) for number in (0, 1)) == count


@pytest.mark.parametrize("is_random", [False, True])
def test_no_more_are_drawn_than_asked_for(is_random: bool) -> None:
    overlay = Overlay(text=False, max_labels=5, random_labels=is_random)
    pictures = [drawn(BLANK, [cell(number) for number in range(24)], overlay) for _ in range(2)]
    shown = [number for number in range(24) if colour_at(pictures[0], number) != (240, 240, 240)]
    assert len(shown) == 5
    assert (shown == [0, 1, 2, 3, 4]) is not is_random
    np.testing.assert_array_equal(*pictures)


@pytest.mark.parametrize("words", [{"text_use": ["size"], "color_by": "none"}, {"text_use": None, "color_by": "size"}])
def test_other_words_are_refused(words: dict[str, Any]) -> None:
    with pytest.raises(WrongUse, match="not size"):
        overlay_of(**words)


def test_representatives_are_the_surest_of_each_cluster() -> None:
    cells = [cell(n, cluster=n % 3 - 1, sure=0.0 if n % 3 == 0 else n / 30) for n in range(24)]
    tiles = [
        AnnotatedTile(tile_path=f"/x/{name}.png", magnification=1.0, x=0, y=0, cells=part)
        for name, part in (("a", cells[:12]), ("b", cells[12:]), ("c", []))
    ]
    chosen = choose("slide", tiles, Choice(threshold=0.2, max_items=3))
    found = {(one.cluster_id, one.cell_id) for tile in chosen.tiles for one in tile.cells}
    assert found == {(0, 23), (0, 20), (0, 17), (1, 24), (1, 21), (1, 18)}
    Annotations.model_validate(chosen.files["filtered_annotations.json"])
    told = chosen.files["cluster_analysis.json"]
    assert told["analysis_metadata"]["total_filtered_cells"] == 6
    assert told["cluster_statistics"]["0"]["total_cells"] == 3
    assert told["cluster_statistics"]["0"]["cluster_size"] == 8
    assert chosen.files["tile_summary.json"][0]["number_of_cells_per_cluster"] == {"0": 3, "1": 3}
    assert {one.cluster_id for tile in choose("slide", tiles, Choice()).tiles for one in tile.cells} == {-1, 0, 1}
