"""`morula tiles`: every tile has a verdict, and the picture shows it where it lies."""

import json
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pyarrow.parquet as pq
import pytest

from morula.common.testing import write_slide
from morula.onebox import cli, preview
from morula.onebox.preview import COLOURS, COVER, KEPT, Marked


def morula(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["morula", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_every_tile_of_every_scale_has_a_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slide, picture, table = tmp_path / "slide.tiff", tmp_path / "kept.png", tmp_path / "tiles.parquet"
    write_slide(slide, 1100, 900)
    ring = [[0, 0], [500, 0], [500, 900], [0, 900], [0, 0]]
    (tmp_path / "left.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    words = ["tiles", str(slide), "--tile-px", "128", "--mpp", "0.5", "--mpp", "1", "--json", "--origin", "-10", "7"]
    words += ["--preview", str(picture), "--table", str(table), "--exclude", str(tmp_path / "left.geojson")]
    assert morula(monkeypatch, *words) == 0
    found = json.loads(capsys.readouterr().out)
    assert [scale["mpp"] for scale in found["scales"]] == pytest.approx([0.5, 1.0], rel=0.05)
    for scale, size in zip(found["scales"], ("0.5", "1"), strict=True):
        assert scale["preview"] == str(tmp_path / f"kept-{size}.png")
        tiles = pq.read_table(scale["table"])
        assert tiles["tile"].to_pylist() == list(range(scale["tile_count"]))
        assert sum(scale["verdicts"].values()) == scale["tile_count"]
        assert scale["verdicts"]["kept"] > 0
        middles = [
            x + width / 2 for x, width in zip(tiles["x_px"].to_pylist(), tiles["width_px"].to_pylist(), strict=True)
        ]
        left = [verdict for verdict, x in zip(tiles["verdict"].to_pylist(), middles, strict=True) if x < 500]
        assert set(left) == {"excluded"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--gate", "magic"], "there are: default, paper"),
        (["--preview", "kept.bmp"], "a preview is one of"),
        (["--include", "nowhere.geojson"], "nowhere.geojson"),
    ],
)
def test_wrong_wishes_are_told_in_a_line(
    words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_slide(tmp_path / "slide.tiff", 300, 300)
    assert morula(monkeypatch, "tiles", str(tmp_path / "slide.tiff"), *words) != 0
    assert says in capsys.readouterr().err


def test_kept_tiles_are_framed_and_others_covered_by_their_reason(tmp_path: Path) -> None:
    overview = np.full((40, 90, 3), 200, np.uint8)
    boxes = np.array([[0, 0, 300, 400], [300, 0, 300, 400], [600, 0, 300, 400]])
    preview.draw(tmp_path / "a.png", overview, 10.0, Marked(boxes, ["kept", "pen", "background"]))
    picture = imagecodecs.png_decode((tmp_path / "a.png").read_bytes())
    assert picture.shape[1] == 90
    assert picture.shape[0] > 40
    assert tuple(picture[0, 15]) == KEPT
    assert tuple(picture[20, 15]) == (200, 200, 200)
    expected = np.array(COLOURS["pen"]) * COVER + 200 * (1 - COVER)
    np.testing.assert_allclose(picture[20, 45], expected, atol=1)
    assert tuple(picture[20, 75]) == (200, 200, 200)
