"""What a person asks for, and what is left to the preset."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from morula.gateway.pipeline.params import Choices
from morula.onebox.failures import WrongUse
from morula.onebox.regions import region_text
from morula.onebox.run import Request, choose, places_of


def test_only_what_was_named_is_asked_for() -> None:
    plain = Request((Path("a.svs"),), Path("out"), Choices())
    assert plain.params == {"preset": "default"}
    named = Request(
        (Path("a.svs"),), Path("out"), Choices(segmenter="watershed", mpp=0.25, slide_mpp=0.5, origin_x_px=-9)
    )
    expected = {"preset": "default", "segmenter": "watershed", "mpp": 0.25, "slide_mpp": 0.5, "origin_x_px": -9}
    assert named.params == expected


@pytest.mark.parametrize("wrong", [{"preset": ""}, {"segmenter": ""}, {"slide_mpp": 99.0}, {"sample_tile_count": -1}])
def test_what_the_gateway_would_refuse_is_refused_and_no_default_takes_its_place(wrong: dict[str, object]) -> None:
    with pytest.raises(WrongUse, match=f"^{next(iter(wrong))}: "):
        choose(**wrong)


def test_regions_are_read_before_anything_is_started(tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    ring = [[0, 0], [9, 0], [9, 9], [0, 0]]
    drawn = json.dumps({"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}})
    for mark in ("", "\ufeff"):
        path.write_text(mark + drawn, encoding="utf-8")
        assert json.loads(region_text(path)) == {"type": "MultiPolygon", "coordinates": [[ring]]}
    assert region_text(None) == ""


@pytest.mark.parametrize(
    ("content", "says"), [(b"[]", "must be GeoJSON"), (b"\xfe\xff\x00", "is not a text file"), (None, "No such file")]
)
def test_a_file_of_no_regions_is_named(content: bytes | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WrongUse, match=says) as caught:
        region_text(path)
    assert str(path) in str(caught.value)


def test_each_slide_has_one_place_below_the_folder_of_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scans" / "inside").mkdir(parents=True)
    for name in ("scans/a.tiff", "scans/inside/b.tiff"):
        (tmp_path / name).write_bytes(b"slide")
    monkeypatch.chdir(tmp_path / "scans" / "inside")
    places = places_of(Request((Path(".."), Path(), Path("b.tiff")), Path("out"), Choices()), Console())
    assert {str(place) for place in places} == {"scans/a.tiff", "scans/inside/b.tiff"}
