"""`morula evaluate` of the published system's own files, against its formulas written out on the same files."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.optimize import linear_sum_assignment

from tests.unit.cli.test_evaluate import morula


def write_batch(folder: Path, seed: int, *, clusters: int, later: bool = False) -> None:
    """A batch of four tiles of two slides: cells without a cluster, without a label, and labelled twice."""
    rng = np.random.default_rng(seed)
    found, said = [], []
    for number in range(4):
        slide, tile = f"{number % 2}_Human_Sl_de", f"s{number % 2}__MAG_1d00__X_{number}"
        count = int(rng.integers(20, 60))
        cells = [
            {"cell_id": 1 + cell, "label_id": cell, "polygon": [[0, 0], [1, 0], [1, 1]], "pred_class": "Unclassified",
             "cluster_id": None if cell % 11 == 10 else int(rng.integers(-1, clusters)),
             "cluster_confidence": 0.5 if cell else None, "bbox": [0, 0, 1, 1]}
            for cell in range(count)
        ]  # fmt: skip
        labels = [
            {"cell_id": 1 + cell, "human_label": int(rng.integers(0, 12) // 5)} for cell in range(count) if cell % 7
        ]
        found.append(
            {"slide_id": slide, "tile_name": f"{tile}.png", "magnification": 1.0, "x": 0, "y": 0, "cells": cells}
        )
        said.append({"tile_index": number, "slide_id": slide, "tile_name": f"{tile}.png", "total_cells": count,
                     "labelled_cells": [*labels, labels[0], {"cell_id": 9999, "human_label": 1}]})  # fmt: skip
    folder.mkdir(parents=True)
    (folder / "cell_labels.json").write_text(json.dumps({"batch": 1, "tiles": found}))
    labels = {"timestamp": "2026-03-09T14:21:43", "batch": folder.name, "source_dir": "/x", "tiles": said}
    (folder / "human_labels_20260309_142143.json").write_text(json.dumps(labels))
    if later:
        (folder / "human_labels_20250101_000000.json").write_text(json.dumps({**labels, "tiles": []}))


def published(folder: Path) -> dict[str, Any]:
    """What the published app answers of a batch."""
    model = {
        (tile["slide_id"], tile["tile_name"], cell["cell_id"]): cell["cluster_id"]
        for tile in json.loads((folder / "cell_labels.json").read_text())["tiles"]
        for cell in tile["cells"]
        if cell["cluster_id"] is not None
    }
    by_tile: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for tile in json.loads((folder / "human_labels_20260309_142143.json").read_text())["tiles"]:
        for cell in tile["labelled_cells"]:
            key = (tile["slide_id"], tile["tile_name"], cell["cell_id"])
            if key in model:
                by_tile[key[:2]].append((cell["human_label"], model[key]))
    tiles, right, everything = {}, 0, [pair for pairs in by_tile.values() for pair in pairs]
    for (slide, name), pairs in by_tile.items():
        humans, models = sorted({one for one, _ in pairs}), sorted({one for _, one in pairs})
        side = max(len(humans), len(models))
        counts = np.zeros((side, side), int)
        for human, cluster in pairs:
            counts[models.index(cluster), humans.index(human)] += 1
        aligned = dict(zip(*linear_sum_assignment(-counts), strict=True))
        places = [(humans.index(human), aligned[models.index(cluster)]) for human, cluster in pairs]
        matrix = np.zeros((len(humans), len(humans)), int)
        for human, given in places:
            if given < len(humans):
                matrix[human, given] += 1
        right += int(np.trace(matrix))
        tiles[slide, name.removesuffix(".png")] = (round(np.trace(matrix) / len(pairs), 4), matrix.tolist())
    return {
        "accuracy": round(right / len(everything), 4),
        "cells": len(everything),
        "human": len({one for one, _ in everything}),
        "model": len({one for _, one in everything}),
        "tiles": tiles,
        "right": right,
    }


@pytest.mark.parametrize("clusters", [0, 2, 9])
def test_a_batch_is_as_the_published_app_answers(clusters: int, tmp_path: Path) -> None:
    batch = tmp_path / "batch_1"
    write_batch(batch, clusters, clusters=clusters)
    labels = batch / "human_labels_20260309_142143.json"
    assert morula("evaluate", batch / "cell_labels.json", "--truth", labels, "--out", tmp_path / "out") == 0
    found, theirs = json.loads((tmp_path / "out" / "evaluation.json").read_text()), published(batch)
    paper = found["paper"]
    assert (paper["accuracy"], paper["n_cells"]) == (theirs["accuracy"], theirs["cells"])
    told = {(one["slide"], one["tile"]): (one["accuracy"], one["confusion_matrix"]["matrix"]) for one in paper["tiles"]}
    assert told == theirs["tiles"]
    (one,) = paper["batches"]
    assert (one["batch"], one["n_human_clusters"], one["n_model_clusters"]) == ("1", theirs["human"], theirs["model"])
    assert found["match"]["doubled"]["count"] == 4
    assert found["honest"]["noise"]["cell_count"] > 0


def test_a_folder_of_batches_is_evaluated_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "qa_sample"
    for number, clusters in enumerate((0, 3), 1):
        write_batch(root / f"batch_{number}", number, clusters=clusters, later=True)
    write_batch(root / "batch_3", 3, clusters=2)
    (root / "batch_3" / "human_labels_20260309_142143.json").unlink()
    assert morula("evaluate", root, "--truth", root, "--out", tmp_path / "out") == 0
    said = capsys.readouterr().err
    assert "batch_3 has no human_labels_*.json: it is left out" in said
    assert "cells have no confidence: that of the others is not looked at" in " ".join(said.split())
    paper = json.loads((tmp_path / "out" / "evaluation.json").read_text())["paper"]
    theirs = [published(root / f"batch_{number}") for number in (1, 2)]
    assert [one["accuracy"] for one in paper["batches"]] == [one["accuracy"] for one in theirs]
    assert paper["accuracy"] == round(sum(one["right"] for one in theirs) / sum(one["cells"] for one in theirs), 4)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"version": 2, "annotations": []}, "tiles: Field required"),
        ({"tiles": [{"slide_id": "a", "tile_name": "b", "labelled_cells": [{"cell_id": "x"}]}]}, "cell_id"),
        ({"tiles": []}, "the truth has no cells"),
    ],
)
def test_a_file_of_another_version_is_one_line(
    content: dict[str, Any], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_batch(tmp_path / "batch_1", 0, clusters=2)
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps(content))
    arguments = (tmp_path / "batch_1" / "cell_labels.json", "--truth", labels, "--out", tmp_path / "out")
    assert morula("evaluate", *arguments) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_labels_alone_are_read_where_their_cells_have_ids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tile = {"slide_id": "a", "tile_name": "b", "badly_segmented": [1]}
    cells = [{"cell_id": cell, "human_label": cell % 2, "uuid": str(UUID(int=cell))} for cell in range(6)]
    ids = [cell["uuid"] for cell in cells]
    pq.write_table(pa.table({"cell_id": ids, "cluster_id": [1, 2] * 3}), tmp_path / "a.parquet")
    labels = tmp_path / "human_labels.json"
    cells.append({"cell_id": 6, "human_label": 9, "uuid": str(UUID(int=6))})
    nameless = {"classes": [{"number": 9, "name": " "}]}
    labels.write_text(json.dumps({"tiles": [{**tile, "labelled_cells": cells}], **nameless}))
    words = ("--truth", labels, "--out", tmp_path / "out", "--leave-out-badly-segmented")
    assert morula("evaluate", tmp_path / "a.parquet", *words) == 0
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert (found["match"]["matched_count"], found["match"]["missing"]["first"]) == (5, [ids[1]])
    assert "1 labels are of a class with a blank name: they are left out" in found["remarks"]
    labels.write_text(json.dumps({"tiles": [{**tile, "labelled_cells": [{"cell_id": 1, "human_label": 1}]}]}))
    capsys.readouterr()
    assert morula("evaluate", tmp_path / "a.parquet", *words) == 2
    assert f"{tmp_path / 'cell_labels.json'}, which has their ids, is not there" in capsys.readouterr().err
