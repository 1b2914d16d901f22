"""Users' own cells: outlines as they are exported become labels, beside images and beside slides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
import tifffile

from morula.common.errors import InvalidArgument
from morula.evaluator.shapes import match, overlap
from morula.synth import make_slide
from morula.training.config import Source
from morula.training.data import read_source
from morula.training.outlines import FIELD_PX, drawn


def collection(polygons: list[Any], names: dict[int, str] | None = None) -> str:
    named = names or {}
    features = [
        {
            "type": "Feature",
            "geometry": shapely.geometry.mapping(polygon),
            "properties": {"classification": {"name": named[n]}} if n in named else {},
        }
        for n, polygon in enumerate(polygons)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features})


def test_outlines_on_pixel_edges_give_exactly_their_pixels() -> None:
    (labels,) = [drawn(np.array([shapely.box(2, 3, 7, 5)], object), 8, 10)]
    expected = np.zeros((8, 10), np.int32)
    expected[3:5, 2:7] = 1
    assert np.array_equal(labels, expected)


def test_images_may_have_outlines_and_what_is_no_cell_is_left_out(tmp_path: Path) -> None:
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), np.full((40, 50, 3), 200, np.uint8))
    polygons = [shapely.box(2, 2, 12, 12), shapely.box(20, 20, 30, 30)]
    (tmp_path / "labels" / "a.geojson").write_text(collection(polygons, {0: "Tumour", 1: "Not a cell"}))
    (one,) = read_source(Source(name="x", path="."), tmp_path)
    assert one.labels.shape == (40, 50)
    assert one.labels[5, 5] == 1
    assert one.labels.max() == 1
    assert not one.labels[25, 25]


@pytest.mark.parametrize("content", ["no json", "{}", '{"features": [{"geometry": {"type": "Circle"}}]}'])
def test_what_is_no_collection_of_outlines_is_told(tmp_path: Path, content: str) -> None:
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), np.full((8, 8, 3), 200, np.uint8))
    (tmp_path / "labels" / "a.geojson").write_text(content)
    with pytest.raises(InvalidArgument, match=r"a.geojson is no GeoJSON collection"):
        list(read_source(Source(name="x", path="."), tmp_path))


def test_slides_are_read_where_their_cells_are(tmp_path: Path) -> None:
    made = make_slide(tmp_path / "slide.tiff", 1024, 1024, 20_001)
    polygons = shapely.from_wkb(pq.read_table(made.cells)["geometry"].to_numpy(zero_copy_only=False))
    (tmp_path / "slide.geojson").write_text(collection(list(polygons)))
    examples = list(read_source(Source(name="x", slides="."), tmp_path))
    truth = tifffile.imread(made.instances)
    assert len(examples) >= 2
    for one in examples:
        column, row = map(int, one.name.split("-")[1:])
        at = (slice(row * FIELD_PX, (row + 1) * FIELD_PX), slice(column * FIELD_PX, (column + 1) * FIELD_PX))
        counts = match(overlap(truth[at], one.labels), 0.5)
        assert counts.f1 > 0.9
        assert one.group == "x/slide"
        # Nuclei are darker than what is around them: pixels and labels lie on each other.
        assert one.pixels[one.labels > 0].mean() < one.pixels[one.labels == 0].mean() - 20


def test_a_slide_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="there is no slide with"):
        list(read_source(Source(name="x", slides="."), tmp_path))
    (tmp_path / "a.geojson").write_text(collection([]))
    with pytest.raises(InvalidArgument, match="exactly one slide of its name"):
        list(read_source(Source(name="x", slides="."), tmp_path))
