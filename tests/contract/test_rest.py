"""The REST interface over real services: what it answers, and that it refuses what makes no sense."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest
import pytest_asyncio

from morula.common.testing import write_slide
from tests.servers.gateway import Client, Services, as_part, gateway, services

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class World:
    """A gateway with one slide that was worked on."""

    client: Client
    running: Services
    slide: dict[str, Any]
    job: dict[str, Any]

    @property
    def http(self) -> httpx.AsyncClient:
        return self.client.http

    @property
    def clustering(self) -> str:
        return f"/v1/clusterings/{self.job['clustering_id']}"

    async def labelling(self) -> str:
        """A labelling of its own for a test, where nothing was said yet."""
        body = {"clustering_id": self.job["clustering_id"]}
        answer = await self.http.post("/v1/labellings", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.headers["location"])

    def uploads(self) -> list[Path]:
        """What uploads left on the disk."""
        return list(Path(str(self.client.house.settings.scratch)).glob("morula-upload-*"))

    def objects(self) -> set[str]:
        return {stored.key for stored in self.running.store.list("")}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    root = tmp_path_factory.mktemp("rest")
    scans = root / "scans"
    scans.mkdir()
    write_slide(scans / "tiny.tiff", 1100, 800)
    write_slide(scans / "other.tiff", 512, 512, seed=9)
    folders = {"scans": scans}
    async with services(root) as running, gateway(running, root, folders=folders, max_upload_bytes=64 << 20) as client:
        slide = await client.upload(scans / "tiny.tiff", name="Tiny", stain="H&E")
        yield World(client, running, slide, await client.run(slide["id"]))


def check_problem(response: httpx.Response, status: int, reason: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert (problem["status"], problem["reason"]) == (status, reason)
    assert problem["title"]
    assert problem["detail"]
    return problem


async def say(world: World, labelling: str, kind: str, body: dict[str, Any], seq: int | None = None) -> httpx.Response:
    event = {"kind": kind, "body": body} | ({"expected_seq": seq} if seq is not None else {})
    return await world.http.post(f"{labelling}/events", json=event)


async def name_page(world: World, labelling: str, class_number: int, odd: int = 0) -> dict[str, Any]:
    page = (await world.http.get(f"{labelling}/page")).json()
    cells = [
        {"row": cell["row"], "class_number": 0 if n < odd else class_number, "shown_class_number": cell["class_number"]}
        for n, cell in enumerate(page["cells"])
    ]
    body = {"place": page["place"], "cells": cells, "class_number": class_number, "version": 0}
    answer = await say(world, labelling, "page_named", body)
    assert answer.status_code == 201, answer.text
    state: dict[str, Any] = answer.json()
    return state


# Slides


async def test_a_slide_is_described(world: World) -> None:
    slide = world.slide
    assert (slide["name"], slide["stain"], slide["mpp"]) == ("Tiny", "H&E", pytest.approx(0.5))
    assert (slide["width_px"], slide["height_px"], slide["levels"][1]["downsample"]) == (1100, 800, 4)
    assert (await world.http.get(f"/v1/slides/{slide['id']}")).json() == slide
    assert slide in (await world.http.get("/v1/slides")).json()["slides"]


async def test_the_same_bytes_are_the_same_slide(world: World) -> None:
    path = world.client.house.settings.folders["scans"] / "tiny.tiff"
    before = world.objects()
    again = await world.http.post("/v1/slides", files=as_part(path))
    assert (again.status_code, again.json()["id"]) == (200, world.slide["id"])
    referred = await world.http.post("/v1/slides", json={"path": "scans/tiny.tiff"})
    assert (referred.status_code, referred.json()["id"]) == (200, world.slide["id"])
    assert world.objects() == before


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"path": "scans/../rest.sqlite"}, 400),
        ({"path": "/etc/passwd"}, 400),
        ({"path": "nowhere/a.svs"}, 400),
        ({"key": "../../etc/passwd"}, 400),
        ({"key": "default/none.svs"}, 404),
        ({}, 400),
        ({"path": "scans/tiny.tiff", "key": "a"}, 400),
        ({"path": "scans/tiny.tiff", "colour": "red"}, 422),
        ({"path": "scans/tiny.tiff", "mpp": -1}, 422),
    ],
)
async def test_references_that_make_no_sense(world: World, body: dict[str, Any], status: int) -> None:
    before = world.objects()
    answer = await world.http.post("/v1/slides", json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert world.objects() == before


async def test_what_is_no_slide_leaves_nothing(world: World, tmp_path: Path) -> None:
    before, listed = world.objects(), (await world.http.get("/v1/slides")).json()
    for content in (b"", b"no slide at all", b"II*\0" + b"\xff" * 4000):
        answer = await world.http.post("/v1/slides", files={"file": ("broken.svs", content)})
        check_problem(answer, 400, "SLIDE_UNREADABLE")
    assert world.objects() == before
    assert (await world.http.get("/v1/slides")).json() == listed
    assert world.uploads() == []


async def test_broken_slides_are_refused_and_the_server_lives(world: World, data_dir: Path) -> None:
    before = world.objects()
    for name in ("unopenable.tiff", "unreadable.svs", "broken.svs"):
        answer = await world.http.post("/v1/slides", files=as_part(data_dir / "slides" / "broken" / name))
        check_problem(answer, 400, "SLIDE_UNREADABLE")
    assert world.objects() == before
    assert (await world.http.get("/healthz")).status_code == 200


async def test_forms_that_make_no_sense(world: World) -> None:
    twice = [("file", ("a.dcm", b"x")), ("file", ("a.dcm", b"y"))]
    assert (await world.http.post("/v1/slides", files=twice)).status_code == 400
    assert (await world.http.post("/v1/slides", files={"file": ("../a", b"x")})).status_code == 400
    assert (await world.http.post("/v1/slides", files={"image": ("a", b"x")})).status_code == 400
    bad_scale = await world.http.post("/v1/slides", files={"file": ("a.svs", b"x")}, data={"mpp": "wide"})
    assert bad_scale.status_code == 422
    nonsense = {"content-type": "multipart/form-data; boundary=x"}
    assert (await world.http.post("/v1/slides", content=b"nonsense", headers=nonsense)).status_code == 400


async def test_too_large_an_upload_is_refused(world: World) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x", "content-length": str(65 << 20)}
    check_problem(await world.http.post("/v1/slides", content=b"--x", headers=headers), 413, "TOO_LARGE")


async def test_tiles_and_thumbnails_are_pictures_for_good(world: World) -> None:
    tile = await world.http.get(f"/v1/slides/{world.slide['id']}/tiles/0/1_0.jpeg")
    assert (tile.status_code, tile.headers["content-type"], tile.content[:2]) == (200, "image/jpeg", b"\xff\xd8")
    assert "immutable" in tile.headers["cache-control"]
    headers = {"if-none-match": tile.headers["etag"]}
    assert (await world.http.get(str(tile.url), headers=headers)).status_code == 304
    thumbnail = await world.http.get(f"/v1/slides/{world.slide['id']}/thumbnail.jpeg?max_px=256")
    assert thumbnail.content[:2] == b"\xff\xd8"
    for place in ("0/3_0", "0/-1_0", "99/0_0", "-1/0_0"):
        missing = await world.http.get(f"/v1/slides/{world.slide['id']}/tiles/{place}.jpeg")
        check_problem(missing, 404, "NOT_FOUND")
    assert (await world.http.get(f"/v1/slides/{world.slide['id']}/thumbnail.jpeg?max_px=99999")).status_code == 400


async def test_label_and_macro_pictures_have_no_address(world: World) -> None:
    for name in ("label", "macro", "associated-images"):
        assert (await world.http.get(f"/v1/slides/{world.slide['id']}/{name}.jpeg")).status_code == 404


# Jobs


async def test_a_job_without_a_scale_says_how_to_state_one(world: World, tmp_path: Path) -> None:
    import tifffile

    path = tmp_path / "unscaled.tiff"
    tifffile.imwrite(path, np.full((512, 512, 3), 230, np.uint8), photometric="rgb", tile=(256, 256))
    slide = await world.client.upload(path)
    assert slide["mpp"] is None
    problem = check_problem(
        await world.http.post("/v1/jobs", json={"slide_id": slide["id"]}), 422, "SLIDE_SCALE_UNKNOWN"
    )
    assert "slide_mpp" in problem["detail"]
    job = await world.client.run(slide["id"], slide_mpp=0.5)
    assert (job["state"], job["params"]["slide_mpp"]) == ("succeeded", 0.5)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"preset": "none"}, 400),
        ({"segmenter": "none"}, 400),
        ({"mpp": 0}, 422),
        ({"mpp": "NaN"}, 422),
        ({"slide_mpp": -0.5}, 422),
        ({"unknown": 1}, 422),
        ({"slide_id": "nobody"}, 404),
        ({"slide_id": 7}, 422),
    ],
)
async def test_jobs_that_make_no_sense(world: World, change: dict[str, Any], status: int) -> None:
    answer = await world.http.post("/v1/jobs", json={"slide_id": world.slide["id"], **change})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_bad_json_is_a_problem(world: World) -> None:
    headers = {"content-type": "application/json"}
    for path in ("/v1/jobs", "/v1/slides", "/v1/clusterings", "/v1/labellings"):
        answer = await world.http.post(path, content=b"{nonsense", headers=headers)
        assert answer.status_code == 422, path
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_large_body_is_refused(world: World) -> None:
    answer = await world.http.post("/v1/jobs", content=b"[" * (3 << 20), headers={"content-type": "application/json"})
    check_problem(answer, 413, "TOO_LARGE")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/slides/x",
        "/v1/jobs/x",
        "/v1/jobs/x/files",
        "/v1/clusterings/x",
        "/v1/clusterings/x/cells?bbox=0,0,1,1",
        "/v1/label-sets/x",
        "/v1/labellings/x",
        "/v1/labellings/x/page",
        "/v1/labellings/x/cells.geojson.gz",
        "/v1/nothing",
    ],
)
async def test_what_is_not_there_is_a_problem(world: World, path: str) -> None:
    answer = await world.http.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_files_come_whole_and_in_ranges(world: World) -> None:
    path = f"/v1/jobs/{world.job['id']}/files/cells.parquet"
    whole = await world.http.get(path)
    part = await world.http.get(path, headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole.content)}"
    tail = await world.http.get(path, headers={"range": "bytes=-5"})
    assert tail.content == whole.content[-5:]
    assert (await world.http.get(path, headers={"range": f"bytes={len(whole.content)}-"})).status_code == 416
    assert (await world.http.get(path, headers={"if-none-match": whole.headers["etag"]})).status_code == 304
    assert (await world.http.get(f"/v1/jobs/{world.job['id']}/files/..%2Fmorula.sqlite")).status_code == 404


async def test_events_of_a_job_carry_on_after_the_last_one_heard(world: World) -> None:
    path = f"/v1/jobs/{world.job['id']}/events"
    lines = (await world.http.get(path)).text.splitlines()
    ids = [int(line.removeprefix("id: ")) for line in lines if line.startswith("id: ")]
    data = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert data[-1] == await world.client.job(world.job["id"])
    assert "event: job" in lines
    again = (await world.http.get(path, headers={"last-event-id": str(ids[-1] - 1)})).text
    assert f"id: {ids[-1]}" in again


# Clusterings


async def test_clusters_of_a_cut(world: World) -> None:
    found = (await world.http.get(f"{world.clustering}/clusters?count=6")).json()
    assert 1 <= len(found["clusters"]) <= 6
    assert sum(one["cell_count"] for one in found["clusters"]) <= world.job["cell_count"]
    assert set(found["node_of_leaf"]) == {one["node_id"] for one in found["clusters"]}
    first = found["clusters"][0]
    assert first["sentence"].endswith(".")
    sheet = await world.http.get(first["representatives"][0]["sheet"])
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


# Labels


async def test_a_person_labels_pages_and_a_model_learns(world: World) -> None:
    labelling = await world.labelling()
    state = (await world.http.get(labelling)).json()
    assert (state["seq"], state["spread"], state["can_undo"], state["version"]) == (0, "none", False, 0)
    assert state["unlabelled_count"] == world.job["cell_count"]
    for number in (1, 2, 1, 2):
        state = await name_page(world, labelling, number, odd=1)
    assert (state["seq"], state["learned_seq"], state["page_count"]) == (4, 4, 4)
    assert (state["version"], state["mark_count"], state["seen_count"]) == (4, 44, 48)
    assert state["spread"] in ("model", "clusters")
    assert state["held_out"]["cell_count"] > 0
    counted = sum(one["cell_count"] for one in state["class_counts"]) + state["unlabelled_count"]
    assert counted == world.job["cell_count"]
    for layer in ("class", "confidence"):
        answer = await world.http.get(f"{labelling}/layers/4/{layer}", headers={"range": "bytes=0-9"})
        assert (answer.status_code, len(answer.content)) == (206, 10)
    await check_exports(world, labelling)


async def check_exports(world: World, labelling: str) -> None:
    table = pq.read_table(io.BytesIO((await world.http.get(f"{labelling}/labels.parquet")).content))
    assert table.num_rows == world.job["cell_count"]
    numbers = table["class_number"].to_pylist()
    marked = [number for number, source in zip(numbers, table["source"].to_pylist(), strict=True) if source == "mark"]
    assert sum(number > 0 for number in marked) == 44
    odd = (await world.http.get(labelling)).json()["odd"]
    assert len(odd) == 4
    assert all(numbers[row] != of for row, of in odd)
    packed = (await world.http.get(f"{labelling}/cells.geojson.gz")).content
    features = json.loads(gzip.decompress(packed))["features"]
    assert [feature["id"] for feature in features] == table["cell_id"].to_pylist()
    called = [feature["properties"].get("classification", {}).get("name") for feature in features]
    assert called == table["class_name"].to_pylist()


async def test_a_page_shows_cells_that_nobody_saw(world: World) -> None:
    labelling = await world.labelling()
    page = (await world.http.get(f"{labelling}/page?cell_count=9")).json()
    assert [cell["letter"] for cell in page["cells"]] == list("ABCDEFGHI")
    assert (page["number"], page["reason"]) == (1, "largest_cluster")
    assert page["facts"]
    assert all(0 <= fact["position"] <= 1 and len(fact["histogram"]) == 24 for fact in page["facts"])
    assert 0 < len(page["where"]["points"]) <= 400
    await name_page(world, labelling, 1)
    following = (await world.http.get(f"{labelling}/page")).json()
    assert following["number"] == 2
    assert not {cell["row"] for cell in page["cells"]} & {cell["row"] for cell in following["cells"]}
    node = page["place"]["node_id"]
    asked = (await world.http.get(f"{labelling}/page?node_id={node}")).json()
    assert (asked["place"]["node_id"], asked["reason"]) == (node, "requested")


async def test_undo_takes_back_the_last_word(world: World) -> None:
    labelling = await world.labelling()
    before = await name_page(world, labelling, 1)
    named = (await say(world, labelling, "cell_set", {"row": 5, "class_number": 3}, before["seq"])).json()
    assert [5, 3] in named["marks"]
    assert named["last_event"] == {"seq": 2, "kind": "cell_set", "sentence": "Cell 5: Stroma"}
    undone = (await say(world, labelling, "undone", {"seq": 2}, 2)).json()
    assert undone["marks"] == before["marks"]
    assert undone["last_event"] == before["last_event"]
    assert (await say(world, labelling, "undone", {"seq": 2}, 3)).status_code == 400
    log = (await world.http.get(f"{labelling}/events")).json()["events"]
    assert [event["kind"] for event in log] == ["page_named", "cell_set", "undone"]


async def test_a_cluster_is_named_whole_and_finer_clusters_inherit(world: World) -> None:
    labelling = await world.labelling()
    cut = (await world.http.put(f"{labelling}/cut", json={"cluster_count": 2})).json()
    node = cut["node_of_leaf"][0]
    state = (await say(world, labelling, "cluster_named", {"node_id": node, "class_number": 2})).json()
    assert {"node_id": node, "class_number": 2, "explicit": True} in state["cluster_names"]
    finer = (await world.http.put(f"{labelling}/cut", json={"cluster_count": 8})).json()
    state = (await world.http.get(labelling)).json()
    below = {new for old, new in zip(cut["node_of_leaf"], finer["node_of_leaf"], strict=True) if old == node}
    assert below <= {one["node_id"] for one in state["cluster_names"] if one["explicit"]}
    assert (await world.http.put(f"{labelling}/cut", json={"cluster_count": 4000})).status_code == 400
    assert (await world.http.put(f"{labelling}/cut", json={"cluster_count": 0})).status_code == 422


async def test_who_did_not_see_the_last_event_is_told(world: World) -> None:
    labelling = await world.labelling()
    body = {"row": 1, "class_number": 1}
    answers = await asyncio.gather(*(say(world, labelling, "cell_set", body, 0) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 412, 412, 412]
    stale = next(answer for answer in answers if answer.status_code == 412)
    assert check_problem(stale, 412, "STALE")["seq"] == "1"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("page_named", {}),
        ("page_named", {"place": {"node_id": 1, "leaf": 0}, "cells": [], "class_number": 1}),
        ("cell_set", {"row": -1, "class_number": 1}),
        ("cell_set", {"row": 10**9, "class_number": 1}),
        ("cell_set", {"row": 1.5, "class_number": 1}),
        ("cell_set", {"row": True, "class_number": 1}),
        ("cell_set", {"row": 1, "class_number": 99}),
        ("cell_set", {"row": 1, "class_number": 255}),
        ("cell_set", {"row": 1}),
        ("cluster_named", {"node_id": 10**6, "class_number": 1}),
        ("cluster_named", {"node_id": "1", "class_number": 1}),
        ("undone", {"seq": 0}),
        ("renamed", {"row": 1}),
    ],
)
async def test_events_that_make_no_sense(world: World, kind: str, body: dict[str, Any]) -> None:
    labelling = await world.labelling()
    answer = await say(world, labelling, kind, body)
    check_problem(answer, 422, "INVALID_ARGUMENT")
    assert (await world.http.get(labelling)).json()["seq"] == 0


async def test_a_page_with_a_cell_twice_is_refused(world: World) -> None:
    cell = {"row": 1, "class_number": 1, "shown_class_number": None}
    body = {"place": {"node_id": 1, "leaf": 0}, "cells": [cell, cell], "class_number": 1, "version": 0}
    assert (await say(world, await world.labelling(), "page_named", body)).status_code == 422


async def test_labels_are_kept_while_the_labeller_is_away(world: World) -> None:
    labelling = await world.labelling()
    await world.http.put(f"{labelling}/cut", json={"cluster_count": 4})
    await world.running.stop("labeller")
    try:
        state = (await say(world, labelling, "cell_set", {"row": 1, "class_number": 2})).json()
        assert (state["seq"], state["learned_seq"]) == (1, 0)
        assert state["marks"] == [[1, 2]]
    finally:
        await world.running.start("labeller")
    newest = await world.client.house.listeners.newest()
    async for _ in world.client.house.listeners.follow(newest - 1, "labelling"):
        state = (await world.http.get(labelling)).json()
        if state["learned_seq"] == state["seq"]:
            break


async def test_label_sets_grow_and_never_shrink(world: World) -> None:
    made = await world.http.post("/v1/label-sets", json={"name": "Mine", "classes": [{"name": "One"}]})
    path = made.headers["location"]
    assert [(one["number"], one["name"], one["key"]) for one in made.json()["classes"]] == [
        (1, "One", "1"),
        (250, "Not a cell", "X"),
    ]
    grown = (await world.http.post(f"{path}/classes", json={"name": "Two", "color": "#010203"})).json()
    assert grown["classes"][1]["color"] == "#010203"
    renamed = (await world.http.patch(f"{path}/classes/1", json={"name": "First"})).json()
    assert renamed["classes"][0]["name"] == "First"
    assert (await world.http.post(f"{path}/classes", json={"name": "Two"})).status_code == 409
    assert (await world.http.post(f"{path}/classes", json={"name": "x", "color": "red"})).status_code == 422
    assert (await world.http.patch(f"{path}/classes/77", json={"name": "x"})).status_code == 404


# Around it


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 403),
        ({"host": "evil.example:80"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:1"}, 403),
        ({"origin": "http://127.0.0.1"}, 200),
        ({"host": "localhost:8610"}, 200),
        ({"host": "[::1]:8610"}, 200),
    ],
)
async def test_only_pages_of_this_server_may_speak_to_it(world: World, headers: dict[str, str], status: int) -> None:
    answer = await world.http.get("/v1/slides", headers=headers)
    assert answer.status_code == status
    assert "default-src 'self'" in answer.headers["content-security-policy"]


async def test_it_says_how_it_is(world: World) -> None:
    ready = await world.http.get("/readyz")
    assert (ready.status_code, set(ready.json()["services"].values())) == (200, {True})
    assert {model["name"] for model in (await world.http.get("/version")).json()["models"]} == {
        "watershed",
        "morphology",
    }
    metrics = (await world.http.get("/metrics")).text
    assert 'morula_jobs{state="succeeded"}' in metrics
    assert "/v1/slides" in (await world.http.get("/openapi.json")).json()["paths"]
