"""Drawn regions: polygons whatever they are wrapped in, and nothing else."""

from __future__ import annotations

import json

import pytest

from morula.common.errors import InvalidArgument
from morula.common.regions import MAX_POINTS, read_polygons, to_geojson

RING = [[0, 0], [10, 0], [10, 10.5], [0, 0]]
POLYGON = {"type": "Polygon", "coordinates": [RING]}


def test_the_same_polygons_are_the_same_text_however_they_are_wrapped() -> None:
    feature = {"type": "Feature", "id": "7", "properties": {"name": "tumour"}, "geometry": POLYGON}
    wrapped = {"type": "FeatureCollection", "features": [feature, feature]}
    plain = {"type": "MultiPolygon", "coordinates": [[RING], [RING]]}
    first, second = (to_geojson(read_polygons(json.dumps(value))) for value in (wrapped, plain))
    assert json.dumps(first) == json.dumps(second)
    assert to_geojson(read_polygons(json.dumps(first))) == first == plain


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[]",
        "3",
        json.dumps({"type": "Point", "coordinates": [1, 2]}),
        json.dumps({"type": "FeatureCollection", "features": []}),
        json.dumps({"type": "Feature", "geometry": None}),
        json.dumps({"type": "Polygon", "coordinates": []}),
        json.dumps({"type": "Polygon", "coordinates": [[]]}),
        json.dumps({"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}),
        json.dumps({"type": "Polygon", "coordinates": [[[0], [1], [2]]]}),
        json.dumps({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [float("nan"), 2], [0, 0]]]}),
        json.dumps({"type": "Polygon", "coordinates": [[[0, 0], [1e300, 1], [5, 2], [0, 0]]]}),
        json.dumps({"type": "Polygon", "coordinates": [[[10**400, 0], [1, 1], [2, 2]]]}),
        json.dumps({"type": "Polygon", "coordinates": [["12", "34", "56"]]}),
        json.dumps({"type": "Polygon", "coordinates": [[[True, 0], [1, 1], [2, 2]]]}),
        json.dumps({"type": "Polygon", "coordinates": "abc"}),
        json.dumps({"type": "Polygon", "coordinates": [[[0, 0]] * (MAX_POINTS + 1)]}),
        '{"type":"GeometryCollection","geometries":[' * 3000,
    ],
)
def test_what_is_no_region_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        read_polygons(text)
