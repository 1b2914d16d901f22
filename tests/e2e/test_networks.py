"""A network of an operator's file, from `morula models add` to the cells of a slide."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from morula.common.testing import write_slide
from tests.e2e.test_run import run

UNET = Path(__file__).parents[1] / "oracles" / "unet_narrow.onnx"


@pytest.mark.slow
def test_a_network_that_was_added_segments_a_slide(tmp_path: Path) -> None:
    slide, data = tmp_path / "small.tiff", tmp_path / "data"
    write_slide(slide, 640, 512)
    words = ("run", slide, "--segmenter", "mine", "--data", data, "--json")

    unknown = run(*words, "--out", tmp_path / "out")
    assert (unknown.returncode, unknown.stderr.count("\n")) == (2, 1)
    assert "there is no segmenter 'mine'" in unknown.stderr

    added = run("models", "--data", data, "add", "cellpose-unet", UNET, "--as", "mine")
    assert added.returncode == 0, added.stderr
    ended = run(*words, "--out", tmp_path / "out")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["state"] == "succeeded"
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert {row["name"] for row in manifest["models"]} == {"mine", "morphology"}
