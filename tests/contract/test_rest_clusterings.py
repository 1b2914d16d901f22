"""Clusterings over REST: clusters, layers, cells in view, pictures of cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.contract.rest_world import World, check_problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_clusters_of_a_cut(world: World) -> None:
    found = (await world.http.get(f"{world.clustering}/clusters?count=6")).json()
    assert 1 <= len(found["clusters"]) <= 6
    assert sum(one["cell_count"] for one in found["clusters"]) <= world.job["cell_count"]
    assert set(found["node_of_leaf"]) == {one["node_id"] for one in found["clusters"]}
    first = found["clusters"][0]
    assert first["sentence"].endswith(".")
    assert {one["near_node_id"] for one in first["borderline"]} <= set(found["node_of_leaf"]) - {first["node_id"]}
    for shown in ("representatives", "borderline", "outlying"):
        sheet = await world.http.get(first[shown][0]["sheet"])
        assert (sheet.status_code, sheet.headers["content-type"]) == (200, "image/jpeg")
    assert (await world.http.get(f"{world.clustering}/clusters?count=-1")).status_code == 422


async def test_layers_are_plain_numbers_in_row_order(world: World) -> None:
    count = world.job["cell_count"]
    sizes = {"leaf": 2, "layout": 4, "confidence": 1}
    for layer, size in sizes.items():
        whole = await world.http.get(f"{world.clustering}/layers/{layer}")
        assert len(whole.content) == size * count
        part = await world.http.get(str(whole.url), headers={"range": f"bytes={size}-{3 * size - 1}"})
        assert part.content == whole.content[size : 3 * size]
    assert (await world.http.get(f"{world.clustering}/layers/features")).status_code == 422


async def test_cells_in_a_box_and_in_blocks_are_the_same(world: World) -> None:
    found = (await world.http.get(f"{world.clustering}/cells?bbox=0,0,1100,800&limit=20000")).json()
    assert (found["total_count"], found["truncated"]) == (world.job["cell_count"], False)
    few = (await world.http.get(f"{world.clustering}/cells?bbox=0,0,1100,800&limit=5")).json()
    assert (len(few["cells"]), few["truncated"]) == (5, True)
    blocks = (await world.http.get(f"{world.clustering}/blocks")).json()["blocks"]
    raw = (await world.http.get(f"{world.clustering}/blocks/{blocks[0]['number']}")).content
    start, rows, vertices, zero = np.frombuffer(raw[:16], "<u4").tolist()
    assert (start, zero) == (blocks[0]["row_start"], 0)
    centroids = np.frombuffer(raw[16 : 16 + 8 * rows], "<f4").reshape(-1, 2)
    offsets = np.frombuffer(raw[16 + 8 * rows :][: 4 * (rows + 1)], "<u4")
    steps = np.frombuffer(raw[16 + 8 * rows + 4 * (rows + 1) :], "<i2").reshape(-1, 2)
    assert (offsets[0], offsets[-1], len(steps)) == (0, vertices, vertices)
    cell = found["cells"][3]
    ring = steps[offsets[3] : offsets[4]] / 4 + np.floor(centroids[3] + 0.5)
    assert cell["row"] == 3
    assert np.allclose(ring, cell["outline"], atol=0.01)
    assert (await world.http.get(f"{world.clustering}/blocks/999")).status_code == 404


@pytest.mark.parametrize("bbox", ["", "1,2,3", "a,b,c,d", "10,10,5,20", "nan,0,1,1", "0,0,inf,1", "0,0,0,0"])
async def test_boxes_that_make_no_sense(world: World, bbox: str) -> None:
    answer = await world.http.get(f"{world.clustering}/cells", params={"bbox": bbox})
    check_problem(answer, 400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("rows=", 400),
        ("rows=a", 400),
        ("rows=-1", 400),
        ("rows=99999999", 400),
        (f"rows={','.join(['1'] * 300)}", 400),
        ("rows=1&cell_px=9999", 422),
        ("rows=1&window_um=nan", 422),
        ("rows=1&slide_id=x", 404),
        ("", 422),
    ],
)
async def test_sheets_that_make_no_sense(world: World, query: str, status: int) -> None:
    answer = await world.http.get(f"{world.clustering}/sheet.jpeg?{query}")
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(("job_ids", "status"), [([], 422), (["nobody"], 404), (["SAME", "SAME"], 400), ([7], 422)])
async def test_cohorts_that_make_no_sense(world: World, job_ids: list[Any], status: int) -> None:
    named = [world.job["id"] if one == "SAME" else one for one in job_ids]
    assert (await world.http.post("/v1/clusterings", json={"job_ids": named})).status_code == status


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"node_id": 60_000}, 404),
        ({"labelling_id": "nobodys"}, 404),
        ({"part_count": 1}, 422),
        ({"part_count": 17}, 422),
        ({"part_count": 3}, 400),
    ],
)
async def test_splits_that_make_no_sense(world: World, asked: dict[str, Any], status: int) -> None:
    leaf_count = (await world.http.get(world.clustering)).json()["leaf_count"]
    fine = (await world.http.get(f"{world.clustering}/clusters?count={leaf_count - 1}")).json()["node_of_leaf"]
    pair = next(node for node in fine if fine.count(node) == 2)
    answer = await world.http.post(f"{world.clustering}/splits", json={"node_id": pair, **asked})
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    ("asked", "status"),
    [({}, 422), ({"labelling_id": "nobodys"}, 404), ({"cluster_count": -1}, 422), ({"cluster_count": 4097}, 422)],
)
async def test_regroupings_that_make_no_sense(world: World, asked: dict[str, Any], status: int) -> None:
    mine = {"labelling_id": world.job["labelling_id"]} if asked.keys() == {"cluster_count"} else {}
    answer = await world.http.post(f"{world.clustering}/regroupings", json={**mine, **asked})
    assert answer.status_code == status, answer.text
