"""Truths as files that nobody vouches for."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from morula.common.errors import InvalidArgument
from morula.evaluator import crossings
from morula.evaluator.truth import Shapes, read

Ring = list[list[float]]


def drawn(*rings: Ring, **properties: object) -> bytes:
    properties = {"classification": {"name": "a"}, **properties}
    geometry = [{"type": "Polygon", "coordinates": [ring]} for ring in rings]
    return json.dumps([{"geometry": one, "properties": properties} for one in geometry]).encode()


def closed(corners: np.ndarray) -> Ring:
    ring: Ring = corners.tolist()
    return [*ring, ring[0]]


def tangle(corners: int) -> Ring:
    return closed(np.random.default_rng(0).uniform(0, 1000, (corners, 2)))


def bows(count: int) -> Ring:
    """A ribbon that crosses itself so many times."""
    along = np.arange(2.0 * count)
    side = np.where(along % 2, 1.0, 0.0)
    return closed(np.concatenate([np.stack([along, side], 1), np.stack([along, 1 - side], 1)[::-1]]))


def test_what_crosses_itself_is_mended_while_that_is_quick() -> None:
    bow = read(drawn([[0, 0], [10, 10], [10, 0], [0, 10], [0, 0]], objectType="detection"))
    assert isinstance(bow, Shapes)
    assert sum(shape.area for shape in bow.shapes) == 50
    assert not bow.is_region.any()
    ribbon = read(drawn(bows(40)))
    assert isinstance(ribbon, Shapes)
    assert len(ribbon) > 40
    circle = np.linspace(0, 6.28, 15_000)
    large = np.stack([np.cos(circle), np.sin(circle)], 1) * 1e4
    large[[7_000, 7_001]] = large[[7_001, 7_000]]
    assert isinstance(read(drawn(closed(large))), Shapes)


@pytest.mark.parametrize("ring", [tangle(200), tangle(50_000), bows(4_000), closed(np.full((3_000, 2), 7.0))])
def test_what_crosses_itself_too_often_is_refused_at_once(ring: Ring) -> None:
    with pytest.raises(InvalidArgument, match=r"crosses itself too often|lies nowhere"):
        read(drawn(ring))


def test_many_outlines_that_cross_themselves_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossings, "MOST_IN_ALL", 300)
    with pytest.raises(InvalidArgument, match="crosses itself too often"):
        read(drawn(*[bows(60)] * 9))


def test_an_annotation_is_a_region_and_what_has_no_class_is_left_out() -> None:
    square = [[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0], [0.0, 0.0]]
    features = [*json.loads(drawn(square)), *json.loads(drawn(square, classification=None))]
    found = read(json.dumps(features).encode())
    assert isinstance(found, Shapes)
    assert (len(found), found.is_region.tolist(), found.classes.to_pylist()) == (1, [True], ["a"])


def batch_file(magnification: float, *polygons: Ring) -> dict[str, Any]:
    cells = [{"cell_id": number, "polygon": ring, "cluster_id": 3} for number, ring in enumerate(polygons, 1)]
    place = {"slide_id": "S_1", "tile_name": "S_1__X.png", "magnification": magnification, "x": 1000, "y": 2000}
    return {"batch": 1, "tiles": [{**place, "cells": cells}]}


def labels_file(*cells: int, tile: str = "S_1__X") -> dict[str, Any]:
    said = [{"cell_id": cell, "human_label": 7} for cell in cells]
    return {"batch": "batch_1", "tiles": [{"slide_id": "S_1", "tile_name": tile, "labelled_cells": said}]}


def together(*files: dict[str, Any]) -> bytes:
    return json.dumps({"published_batch": files}).encode()


def test_a_class_without_a_name_is_none() -> None:
    square: Ring = [[-0.5, -0.5], [9.5, -0.5], [9.5, 9.5], [-0.5, 9.5]]
    labels = labels_file(1, 2)
    labels["tiles"][0]["labelled_cells"][0] |= {"human_label": 8, "uuid": "a"}
    labels["tiles"][0]["labelled_cells"][1] |= {"uuid": "b"}
    labels["classes"] = [{"number": 7, "name": " Duct "}, {"number": 8, "name": " "}]
    for content in (together(batch_file(1.0, square, square), labels), json.dumps(labels).encode()):
        assert read(content).classes.to_pylist() == ["Duct"]
    labels["classes"][1]["number"] = 7
    with pytest.raises(InvalidArgument, match="two classes have one number"):
        read(json.dumps(labels).encode())


@pytest.mark.parametrize(
    ("magnification", "corners"),
    [(1.0, (1000.0, 2010.0)), (0.5, (1000.0, 2020.0)), (2.0, (1128.0, 2133.0))],
)
def test_a_batch_and_its_labels_are_outlines_on_the_slide(magnification: float, corners: tuple[float, float]) -> None:
    square: Ring = [[-0.5, -0.5], [9.5, -0.5], [9.5, 9.5], [-0.5, 9.5]]
    files = batch_file(magnification, square, square), labels_file(2)
    for content in (together(*files), together(*files[::-1])):
        found = read(content)
        assert isinstance(found, Shapes)
        (shape,) = found.shapes
        assert (shape.bounds[0], shape.bounds[3]) == corners
        assert (found.classes.to_pylist(), found.is_region.tolist()) == (["7"], [False])
        assert {name: words.to_pylist() for name, words in found.parts.items()} == {
            "slide": ["S_1"], "tile": ["S_1__X"], "batch": ["batch_1"]
        }  # fmt: skip


LINE: Ring = [[0.0, 0.0], [5.0, 0.0], [0.0, 0.0]]
TWINS = [{"cell_id": 1, "polygon": LINE}] * 2


def tile_with(**changes: object) -> dict[str, Any]:
    file = batch_file(1.0, LINE)
    file["tiles"][0] |= changes
    return file


def doubled(file: dict[str, Any]) -> dict[str, Any]:
    return {"tiles": file["tiles"] * 2}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ((batch_file(1.0, LINE),), "a batch is two files"),
        ((batch_file(1.0, LINE), labels_file(1)), "no outline that encloses anything"),
        ((batch_file(1.0, LINE), labels_file(2)), "has no cell 2, of which the labels speak"),
        ((batch_file(1.0, LINE), labels_file(1, tile="Elsewhere")), "has no tile 'Elsewhere'"),
        ((batch_file(0.0, LINE), labels_file(1)), "magnification"),
        ((batch_file(1e-320, LINE), labels_file(1)), "magnification"),
        ((batch_file(1.0, LINE[:2]), labels_file(1)), "polygon"),
        ((batch_file(1.0, [[1e300, 0.0], *LINE]), labels_file(1)), "polygon.0.0"),
        ((tile_with(x=10**30), labels_file(1)), r"tiles.0.x: Input should be less than or equal to 100000000"),
        ((tile_with(y=10**400), labels_file(1)), r"tiles.0.y"),
        ((tile_with(cells=TWINS), labels_file(1)), "two cells 1: labels say no more"),
        ((doubled(batch_file(1.0, LINE)), labels_file(1)), "two tiles 'S_1__X': labels say no more"),
        ((batch_file(1.0, LINE) | {"format": 2}, labels_file(1)), "is of format 2"),
        ((labels_file(1), labels_file(1)), "is not as the published system writes it"),
    ],
)
def test_what_is_no_batch_with_its_labels_is_refused(files: tuple[dict[str, Any], ...], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        read(together(*files))


@pytest.mark.parametrize("words", [b"s\0t", b"s" * 2000])
def test_names_that_nobody_reads_are_refused(words: bytes) -> None:
    for content in (b"row,class,annotator\n1,a," + words, b"row,class\n1," + words):
        with pytest.raises(InvalidArgument, match=r"a name under '(class|annotator)' in the truth"):
            read(content + b"\n")
