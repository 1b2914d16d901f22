"""What a person asks for, and what is left to the preset."""

import json
from pathlib import Path

import pytest

from morula.common.errors import InvalidArgument
from morula.gateway.pipeline.params import Choices
from morula.onebox.run import Request, read_regions


def test_only_what_was_named_is_asked_for() -> None:
    plain = Request(Path("a.svs"), Path("out"), Choices())
    assert plain.params == {"preset": "default"}
    named = Request(Path("a.svs"), Path("out"), Choices(segmenter="watershed", mpp=0.25, slide_mpp=0.5, origin_x_px=-9))
    expected = {"preset": "default", "segmenter": "watershed", "mpp": 0.25, "slide_mpp": 0.5, "origin_x_px": -9}
    assert named.params == expected


def test_regions_are_read_before_anything_is_started(tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    ring = [[0, 0], [9, 0], [9, 9], [0, 0]]
    path.write_text(json.dumps({"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}}))
    assert read_regions(path) == {"type": "MultiPolygon", "coordinates": [[ring]]}
    assert read_regions(None) is None
    path.write_text("[]")
    with pytest.raises(InvalidArgument, match="GeoJSON"):
        read_regions(path)
