"""`morula sample`: batches for people, blind, from what jobs left and from the published system's files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from morula.common.arrays import write_json
from morula.common.tables import TILES_SCHEMA
from morula.common.testing import write_slide
from morula.evaluator import published_files
from morula.onebox.results import digest_of, only_slide
from tests.unit.cli.test_evaluate import morula

SIDE = 512
RING = [[2.5, 2.5], [9.5, 2.5], [9.5, 9.5], [2.5, 9.5]]


def write_published(folder: Path, slide: str, counts: list[int]) -> None:
    """A slide's annotations with paths of another machine, and pictures of its tiles."""
    (folder / "tiles" / slide).mkdir(parents=True)
    tiles = []
    for number, count in enumerate(counts):
        name = f"{slide}__MAG_1d00__X_{number * SIDE}__Y_0__IDX_{number:06d}"
        cells = [
            {"cell_id": cell + 1, "label_id": cell + 1, "polygon": RING, "pred_class": "Beta", "cluster_id": cell % 3,
             "cluster_confidence": 0.5, "bbox": [2, 2, 9, 9]}
            for cell in range(count)
        ]  # fmt: skip
        path = f"/mnt/azureml/../etc/{slide}/{name}.png" if number % 2 else f"C:\\runs\\{slide}\\{name}.png"
        tiles.append({"tile_path": path, "magnification": 1.0, "x": number * SIDE, "y": 0, "cells": cells})
        picture = imagecodecs.png_encode(np.full((8, 8, 3), number, np.uint8))
        (folder / "tiles" / slide / f"{name}.png").write_bytes(picture)
    (folder / f"{slide}_annotations.json").write_text(json.dumps(tiles))


def write_job(folder: Path, slide: Path, *, name: str = "Ours", cells: int = 4) -> None:
    """What a job leaves of a slide of 1024 x 512 px: a cell in the first tile, two in the second, one where nothing
    was kept."""
    folder.mkdir(parents=True)
    files = only_slide(slide)
    manifest = {"slide": {"name": name, "digest": digest_of(files)}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    place = {"tile": [4, 5, 6], "column": [0, 1, 2], "row": [0] * 3, "x_px": [0, SIDE, 2 * SIDE], "y_px": [0] * 3,
             "width_px": [SIDE] * 3, "height_px": [SIDE] * 3, "verdict": ["kept", "kept", "blurred"]}  # fmt: skip
    columns = [pa.array(place.get(field.name, [None] * 3), field.type if field.name != "verdict" else pa.string())
               for field in TILES_SCHEMA]  # fmt: skip
    table = pa.table(dict(zip(TILES_SCHEMA.names, columns, strict=True))).cast(TILES_SCHEMA)
    facts = {b"morula": write_json({"slide_digest": "0" * 64, "mpp": 0.5, "slide_mpp": 0.5})}
    pq.write_table(table.replace_schema_metadata(facts), folder / "tiles.parquet")
    middles = [(100.0, 50.0), (512.0, 0.0), (700.0, 300.0), (1100.0, 20.0)]
    boxes = [shapely.box(x - 3, y - 3, x + 3, y + 3) for x, y in middles]
    ids = [f"0000000{number}-0000-5000-8000-000000000000" for number in range(4)]
    x, y = zip(*middles, strict=True)
    table = pa.table({"cell_id": ids, "x_px": x, "y_px": y, "geometry": [shapely.to_wkb(box) for box in boxes]})
    pq.write_table(table[:cells], folder / "cells.parquet")
    found = pa.table({"cell_id": ids[::-1], "cluster_id": pa.array([7, 7, 0, 9], pa.int32()), "confidence": [0.5] * 4})
    pq.write_table(found[:cells], folder / "assignments.parquet")


def batches_of(out: Path) -> dict[str, Any]:
    return {path.parent.name: json.loads(path.read_text()) for path in sorted(out.glob("batch_*/cell_labels.json"))}


def test_published_slides_are_sampled_blind_and_read_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, counts in enumerate(([5, 0, 7, 9], [20, 4, 6])):
        write_published(tmp_path, f"S{number}_Kidney", counts)
    out = tmp_path / "qa"
    words = ("--pictures", tmp_path / "tiles", "--batches", 2, "--cells", 12, "--seed", 1)
    assert morula("sample", tmp_path, *words, "--out", out, "--json") == 0
    manifest = json.loads(capsys.readouterr().out)
    assert manifest == json.loads((out / "manifest.json").read_text())
    batches = batches_of(out)
    assert list(batches) == ["batch_1", "batch_2"]
    cells = [cell for batch in batches.values() for tile in batch["tiles"] for cell in tile["cells"]]
    assert {(cell["cluster_id"], cell["pred_class"]) for cell in cells} == {(None, "Unclassified")}
    left = sum(one["cells"] for one in manifest["left_out"])
    assert (len(cells), len(cells) + left) == (manifest["total_cells_sampled"], 51)
    assert [one["tiles"] for one in manifest["left_out"] if one["reason"] == "no_cells"] == [1]
    for one in manifest["tiles"]:
        assert imagecodecs.png_decode((out / one["local_path"]).read_bytes()).shape == (8, 8, 3)
    assert morula("sample", tmp_path, *words, "--out", out) == 2, "a sample that people may be labelling stays"

    assert morula("sample", tmp_path, *words, "--out", tmp_path / "again", "--with-clusters") == 0
    again = batches_of(tmp_path / "again")
    assert [tile["tile_name"] for batch in again.values() for tile in batch["tiles"]] == [
        one["tile_name"] for one in manifest["tiles"]
    ]
    for name, batch in again.items():
        said = []
        for tile in batch["tiles"]:
            cells = [{"cell_id": cell["cell_id"], "human_label": cell["cluster_id"]} for cell in tile["cells"]]
            said.append({**{key: tile[key] for key in ("slide_id", "tile_name")}, "labelled_cells": cells})
        labels = {"batch": name, "tiles": said}
        (tmp_path / "again" / name / "human_labels_20260101_000000.json").write_text(json.dumps(labels))
    assert morula("evaluate", tmp_path / "again", "--truth", tmp_path / "again", "--out", tmp_path / "e") == 0
    assert json.loads((tmp_path / "e" / "evaluation.json").read_text())["paper"]["accuracy"] == 1.0


def test_what_a_job_left_is_sampled_with_pictures_of_its_slide(tmp_path: Path) -> None:
    (tmp_path / "slides").mkdir()
    write_slide(tmp_path / "slides" / "ours.tiff", 1400, 600)
    write_job(tmp_path / "runs" / "ours", tmp_path / "slides" / "ours.tiff")
    write_job(tmp_path / "runs" / "empty", tmp_path / "slides" / "ours.tiff", name="Nothing", cells=0)
    words = ("--pictures", tmp_path / "slides", "--batches", 1, "--cells", 3)
    assert morula("sample", tmp_path / "runs", *words, "--with-clusters", "--out", tmp_path / "qa") == 0
    (batch,) = batches_of(tmp_path / "qa").values()
    tiles = {tile["x"]: tile for tile in batch["tiles"]}
    assert sorted(tiles) == [0, SIDE]
    assert [cell["cluster_id"] for cell in tiles[0]["cells"]] == [9]
    assert [cell["cluster_id"] for cell in tiles[SIDE]["cells"]] == [-1, 7], "a middle on the edge is of one tile"
    assert tiles[0]["cells"][0]["bbox"] == [96, 46, 103, 53]
    parsed = published_files.parse(published_files.CellLabels, json.dumps(batch).encode(), "a file")
    assert {tile.slide_id.rpartition("_")[0] for tile in parsed.tiles} == {"Ours"}
    for path in (tmp_path / "qa" / "batch_1").glob("*.png"):
        assert imagecodecs.png_decode(path.read_bytes()).shape == (SIDE, SIDE, 3)

    # Labelled blind in the published app, whose files know neither clusters nor ids: the batch's file does.
    assert morula("sample", tmp_path / "runs" / "ours", *words, "--out", tmp_path / "blind") == 0
    (blind,) = batches_of(tmp_path / "blind").values()
    said = [
        {"slide_id": tile["slide_id"], "tile_name": tile["tile_name"],
         "labelled_cells": [{"cell_id": cell["cell_id"], "human_label": n % 2} for n, cell in enumerate(tile["cells"])]}
        for tile in blind["tiles"]
    ]  # fmt: skip
    labels = tmp_path / "blind" / "batch_1" / "human_labels_20260101_000000.json"
    labels.write_text(json.dumps({"batch": "batch_1", "tiles": said}))
    for truth in (labels, tmp_path / "blind"):
        assigned = tmp_path / "runs" / "ours" / "assignments.parquet"
        assert morula("evaluate", assigned, "--truth", truth, "--out", tmp_path / "e") == 0
        found = json.loads((tmp_path / "e" / "evaluation.json").read_text())
        assert (found["match_rate"], found["paper"]["n_cells"], found["paper"]["n_tiles"]) == (1.0, 3, 2)
    (tmp_path / "blind" / "batch_1" / "cell_labels.json").write_text(json.dumps(blind).replace('"uuid"', '"other"'))
    assert morula("evaluate", assigned, "--truth", labels, "--out", tmp_path / "e") == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--batches", 0), "at least one batch"),
        (("--batches", 9), "9 batches need as many tiles with cells, and there are 2"),
        (("--seed", -1), "a seed is 0 or more"),
        (("--batches", 1, "--pictures", "nowhere"), "there is no picture"),
    ],
)
def test_what_cannot_be_sampled_leaves_nothing(
    words: tuple[object, ...], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_published(tmp_path, "S_Kidney", [5, 3])
    shutil.move(tmp_path / "tiles", tmp_path / "pictures")
    given = words if "--pictures" in words else (*words, "--pictures", tmp_path / "pictures")
    assert morula("sample", tmp_path / "S_Kidney_annotations.json", *given, "--out", tmp_path / "qa") == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "qa").exists()


def test_files_that_are_none_are_refused_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for content, told in (
        ("[", "is not as the published system writes it"),
        ("[]", "has no tiles"),
        ('[{"x": 1}]', "tile_path"),
    ):
        (tmp_path / "S_annotations.json").write_text(content)
        assert morula("sample", tmp_path, "--pictures", tmp_path, "--out", tmp_path / "qa") == 2
        assert told in capsys.readouterr().err
    (tmp_path / "cell_labels.json").write_text('{"format": 2, "batch": 1, "tiles": []}')
    (tmp_path / "human_labels_1.json").write_text('{"tiles": []}')
    words = ("--truth", tmp_path / "human_labels_1.json", "--out", tmp_path / "e")
    assert morula("evaluate", tmp_path / "cell_labels.json", *words) == 2
    assert "is of format 2, and this program reads format 1" in capsys.readouterr().err
