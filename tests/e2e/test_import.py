"""`morula import` as a person calls it: a run of the published system is a slide like any other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
from PIL import Image

from morula.common.published import TileName
from morula.onebox.client import Client
from morula.onebox.machine import LocalMachine
from morula.onebox.published_cells import read_mask
from morula.onebox.published_run import Remarks, boxes_of, known_cells, slides_in
from tests.e2e.test_run import run
from tests.fixtures.published_run import Run, write_run


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Run:
    made = write_run(tmp_path_factory.mktemp("published") / "run")
    # A tile without cells is a tile, too: the published lists do not name it.
    name = f"{made.slide_id}__MAG_1d00__X_0__Y_512__IDX_000009"
    made.masks[name] = np.zeros((512, 512), np.uint16)
    made.pictures[name] = np.full((512, 512, 3), (220, 200, 210), np.uint8)
    made.pictures[name][::2] += 9
    Image.fromarray(made.masks[name]).save(made.folder / "segment" / made.slide_id / f"{name}_mask.png")
    (made.folder / "segment" / made.slide_id / f"{name}_bboxes.json").write_text("[]")
    Image.fromarray(made.pictures[name]).save(made.folder / "data_prep" / made.slide_id / f"{name}.png")
    return made


def brought(machine: LocalMachine, folder: Path) -> Any:
    ended = run("import", folder, "--slide-mpp", 0.46, "--data", machine.folder.root, "--json")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_a_run_is_a_slide_with_its_cells_clusters_classes_and_truth(
    machine: LocalMachine, client: Client, published: Run, tmp_path: Path
) -> None:
    told = brought(machine, published.folder)
    (slide,) = told["slides"]
    assert (slide["cell_count"], slide["class_count"], told["remarks"]) == (72, len(published.classes), [])

    for name in ("cells.parquet", "assignments.parquet"):
        client.download(f"/v1/jobs/{slide['job_id']}/files/{name}", tmp_path / name)
    cells, assigned = (pq.read_table(tmp_path / name).to_pydict() for name in ("cells.parquet", "assignments.parquet"))
    place = {tuple(map(int, xy)): row for row, xy in enumerate(zip(cells["x_px"], cells["y_px"], strict=True))}
    theirs: dict[int, set[int]] = {}
    labels = client.get(f"/v1/labellings/{slide['labelling_id']}/events", limit=200)["events"]
    said = {event["body"]["row"]: event["body"]["class_number"] for event in labels}
    label_set = client.get(f"/v1/labellings/{slide['labelling_id']}")["label_set"]
    classes = {one["number"]: one["name"] for one in label_set["classes"]}
    # In the way of no other slide, and the board of this one.
    assert (label_set["name"], len(classes)) == ("import: run", 1 + len(set(published.classes.values())))
    assert client.get(f"/v1/jobs/{slide['job_id']}")["labelling_id"] == slide["labelling_id"]
    for (name, label), cluster in published.clusters.items():
        tile = TileName.of(name)
        assert tile is not None
        mask = published.masks[name] == label
        y, x = (float(at.mean()) + 0.5 for at in np.nonzero(mask))
        row = place[int(x + tile.x_px), int(y + tile.y_px)]
        outline = shapely.from_wkb(cells["geometry"][row])
        assert outline.area == mask.sum()
        rows, columns = np.nonzero(mask)
        assert outline.bounds == (
            columns.min() + tile.x_px, rows.min() + tile.y_px, columns.max() + 1 + tile.x_px, rows.max() + 1 + tile.y_px
        )  # fmt: skip
        assert cells["imported_cluster"][row] == cluster
        theirs.setdefault(cluster, set()).add(assigned["cluster_id"][row])
        assert classes.get(said.get(row, 0)) == published.classes.get((name, label))
    assert theirs.pop(-1) == {0}
    assert sorted(map(len, theirs.values())) == [1, 1, 1]
    assert len(set.union(*theirs.values())) == 3

    truth = client.get(f"/v1/truths/{told['truth_id']}")
    assert (truth["row_count"], [one["name"] for one in truth["classes"]]) == (15, ["0", "1"])
    clustering_id = client.get(f"/v1/jobs/{slide['job_id']}")["clustering_id"]
    job = client.post("/v1/evaluations", {"truth_id": truth["id"], "clustering_id": clustering_id})
    *_, last = client.watch(job["id"])
    assert last["state"] == "succeeded", last["error"]
    assert client.get(f"/v1/evaluations/{job['id']}/evaluation.json")["match_rate"] == 1.0
    assert client.page(slide["labelling_id"]) is not None

    again = brought(machine, published.folder)
    assert [one["job_id"] for one in again["slides"]] == [slide["job_id"]]
    assert again["truth_id"] == told["truth_id"]
    assert client.get(f"/v1/labellings/{slide['labelling_id']}/events", limit=200)["events"] == labels


def test_cells_are_imported_only_where_some_came(machine: LocalMachine, client: Client, published: Run) -> None:
    ended = run("import", published.folder / "segment", "--slide-mpp", 0.46, "--data", machine.folder.root)
    assert ended.returncode == 2
    assert "nothing of" in ended.stderr
    (slide,) = (one for one in client.get("/v1/slides")["slides"] if one["name"] == published.slide_id)
    cut = {"slide_id": slide["id"], "preset": "imported", "mpp": 1.0}
    *_, last = client.watch(client.post("/v1/jobs", cut)["id"])
    assert last["state"] == "failed"
    assert "level 0" in last["error"]["detail"]


def test_what_came_goes_back_with_equal_cells_clusters_and_classes(
    machine: LocalMachine, client: Client, published: Run, tmp_path: Path
) -> None:
    (slide,) = brought(machine, published.folder)["slides"]
    words = ("--out", tmp_path / "back", "--data", machine.folder.root, "--draw-bbox", "--max-items", 5)
    ended = run("export", slide["job_id"], *words)
    assert ended.returncode == 0, ended.stderr
    assert "4 tiles with 72 cells" in ended.stdout
    assert run("export", slide["job_id"], *words).returncode == 2, "the folder is not empty any more"
    ended = run("export", "../../healthz", *words)
    assert (ended.returncode, "'../../healthz' is no id" in ended.stderr) == (2, True)
    (back,) = slides_in(tmp_path / "back")
    remarks = Remarks()
    known = known_cells(back, remarks)
    assert remarks.lines() == []
    theirs: dict[int, set[int]] = {}
    names = {(tile.name.x_px, tile.name.y_px): name for name, tile in back.tiles.items()}
    for name, mask in published.masks.items():
        tile = TileName.of(name)
        assert tile is not None
        called = names.pop((tile.x_px, tile.y_px))
        files = back.tiles[called]
        assert files.mask is not None
        assert files.boxes is not None
        after = read_mask(files.mask)
        boxes = {one.label_id: one.bbox for one in boxes_of(files.boxes).root}
        for label in map(int, np.unique(mask)[1:]):
            rows, columns = np.nonzero(mask == label)
            (number,) = np.unique(after[rows, columns]).tolist()
            np.testing.assert_array_equal(after == number, mask == label)
            assert boxes[number] == (columns.min(), rows.min(), columns.max(), rows.max())
            said = known[called][number]
            theirs.setdefault(published.clusters[name, label], set()).add(said.cluster)
            # Where the run said nothing, what its classes spread to may stand.
            assert said.pred_class == published.classes.get((name, label), said.pred_class)
    assert names == {}
    assert theirs.pop(-1) == {-1}
    assert [len(found) for found in theirs.values()] == [1, 1, 1]
    assert len(set.union(*theirs.values())) == 3

    last = next(name for name in published.pictures if "X_512__Y_1024" in name)
    called = next(name for name in back.tiles if "X_512__Y_1024" in name)
    pictures = {
        stage: np.asarray(Image.open(tmp_path / "back" / stage / back.slide_id / f"{called}.png"))
        for stage in ("data_prep", "annotations", "filtered_annotations")
    }
    np.testing.assert_array_equal(pictures["data_prep"], published.pictures[last])
    assert all((pictures["data_prep"] != pictures[stage]).any() for stage in ("annotations", "filtered_annotations"))
    chosen = json.loads((tmp_path / "back/cluster_tiles" / back.slide_id / "filtered_annotations.json").read_text())
    assert sum(len(tile["cells"]) for tile in chosen) == 3 + 3 * 5

    again = brought(machine, tmp_path / "back")
    assert again["remarks"] == []
    assert again["slides"][0]["cell_count"] == 72
