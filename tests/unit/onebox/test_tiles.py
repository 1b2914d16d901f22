"""`morula tiles`: every tile has a verdict, and the picture shows it where it lies."""

import json
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from morula.cli import main as cli
from morula.common.testing import write_picture, write_slide
from morula.onebox import preview
from morula.onebox.preview import COLOURS, COVER, KEPT, LINES, Marked, Marks, rings


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
        (["--preview", "nowhere/kept.png"], "nowhere is no folder"),
        (["--table", "nowhere/tiles.parquet"], "nowhere is no folder"),
        (["--seed", "-1"], "--seed"),
        (["--mpp", "nan"], "--mpp"),
        (["--origin", "9" * 30, "0"], "origin_x_px"),
        (["--include", "nowhere.geojson"], "nowhere.geojson"),
    ],
)
def test_wrong_wishes_are_told_in_a_line(
    words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_slide(tmp_path / "slide.tiff", 300, 300)
    assert morula(monkeypatch, "tiles", str(tmp_path / "slide.tiff"), *words) != 0
    assert says in capsys.readouterr().err


def test_a_slide_without_tissue_has_tiles_of_background_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slide, picture, table = tmp_path / "blank.tiff", tmp_path / "kept.png", tmp_path / "tiles.parquet"
    write_picture(slide, np.full((600, 700, 3), 243, np.uint8))
    assert morula(monkeypatch, "tiles", str(slide), "--preview", str(picture), "--table", str(table), "--json") == 0
    (scale,) = json.loads(capsys.readouterr().out)["scales"]
    assert scale["verdicts"] == {"background": 4}
    assert pq.read_table(table)["focus"].null_count == 4
    assert picture.exists()


def test_a_folder_is_a_slide_of_all_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_slide(tmp_path / "slide.tiff", 600, 600)
    assert morula(monkeypatch, "tiles", str(tmp_path), "--json") == 0
    assert json.loads(capsys.readouterr().out)["scales"][0]["verdicts"]["kept"] > 0


def test_kept_tiles_are_framed_and_others_covered_by_their_reason(tmp_path: Path) -> None:
    overview = np.full((40, 90, 3), 200, np.uint8)
    boxes = np.array([[0, 0, 300, 400], [300, 0, 300, 400], [600, 0, 300, 400]])
    picture = drawn(tmp_path, overview, Marks(Marked(boxes, ["kept", "pen", "background"])))
    assert picture.shape[1] == 90
    assert picture.shape[0] > 40
    assert tuple(picture[0, 15]) == KEPT
    assert tuple(picture[20, 15]) == (200, 200, 200)
    expected = np.array(COLOURS["pen"]) * COVER + 200 * (1 - COVER)
    np.testing.assert_allclose(picture[20, 45], expected, atol=1)
    assert tuple(picture[20, 75]) == (200, 200, 200)


def test_what_was_found_is_outlined_where_it_lies_in_a_kept_tile_too(tmp_path: Path) -> None:
    overview = np.full((400, 400, 3), 120, np.uint8)
    found = np.zeros((400, 400), bool)
    found[100:140, 50:350] = True
    found[300:305, 300:305] = True
    tile = Marked(np.array([[0, 0, 4000, 4000]]), ["kept"])
    bare = drawn(tmp_path, overview, Marks(tile))
    picture = drawn(tmp_path, overview, Marks(tile, outlines={"fold found": rings(found, 10.0), "pen found": []}))
    changed = (picture[:400] != bare[:400]).any(axis=2)
    ys, xs = np.nonzero(changed)
    edges = np.array([ys.min(), ys.max(), xs.min(), xs.max()])
    np.testing.assert_allclose(edges, [100, 139, 50, 349], atol=3)
    assert not changed[110:130, 60:340].any(), "the line surrounds it and hides nothing of it"
    assert tuple(picture[100, 200]) == LINES["fold found"]
    assert (bare[400:] != picture[400:]).any(), "the legend says what the line is"


@pytest.mark.parametrize("shade", [8, 240])
def test_a_core_is_named_in_sight_on_dark_and_bright_slides_and_at_the_edge(tmp_path: Path, shade: int) -> None:
    overview = np.full((300, 300, 3), shade, np.uint8)
    no_tile = Marked(np.zeros((0, 4), np.int64), [])
    core = {"name": "A-1", "x_px": 400.0, "y_px": 400.0, "radius_px": 500.0}
    named = drawn(tmp_path, overview, Marks(no_tile, [core]))[:16, :32]
    assert named.min() < 40, "letters"
    assert (named == 255).all(axis=2).mean() > 0.4, "on white, whatever the slide, and not cut off at its edge"


def drawn(folder: Path, overview: NDArray[np.uint8], marks: Marks) -> NDArray[np.uint8]:
    preview.draw(folder / "a.png", overview, 10.0, marks)
    return np.asarray(imagecodecs.png_decode((folder / "a.png").read_bytes()))
