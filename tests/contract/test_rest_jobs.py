"""Jobs over REST: asked for, followed, and the files that they leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from morula.gateway.api.events import follow_all
from tests.contract.rest_world import World, check_problem
from tests.servers.gateway import NOBODY
from tests.servers.jobs import classical

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_job_without_a_scale_says_how_to_state_one(world: World, tmp_path: Path) -> None:
    import tifffile

    path = tmp_path / "unscaled.tiff"
    tifffile.imwrite(path, np.full((512, 512, 3), 230, np.uint8), photometric="rgb", tile=(256, 256))
    slide = await world.client.upload(path)
    assert slide["mpp"] is None
    problem = check_problem(await world.http.post("/v1/jobs", json=classical(slide["id"])), 422, "SLIDE_SCALE_UNKNOWN")
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
        ({"include": "text"}, 422),
        ({"include": {"type": "Point", "coordinates": [1, 2]}}, 422),
        ({"exclude": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}}, 422),
        ({"exclude": {"type": "Polygon", "coordinates": [[[n, n % 2] for n in range(10_001)]]}}, 422),
        ({"sample_tile_count": -1}, 422),
        ({"sample_tile_count": 1.5}, 422),
        ({"origin_x_px": 2**31}, 422),
        ({"origin_y_px": None}, 422),
        ({"flow_threshold": 0.4}, 400),
        ({"diameter_um": 900}, 400),
        ({"diameter_um": 0}, 422),
        ({"channels": ["ultraviolet"]}, 422),
        ({"augment": "yes"}, 422),
    ],
)
async def test_jobs_that_make_no_sense(world: World, change: dict[str, Any], status: int) -> None:
    answer = await world.http.post("/v1/jobs", json=classical(world.slide["id"]) | change)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_job_whose_clustering_is_not_installed_is_refused_before_it_begins(world: World) -> None:
    """The gateway goes by its settings: the clusterer may run elsewhere, with other packages."""
    body = classical(world.slide["id"]) | {"preset": "paper", "embedder": "morphology"}
    problem = check_problem(await world.http.post("/v1/jobs", json=body), 400, "MODEL_UNAVAILABLE")
    assert "umap-learn and kneed, not there where it would run" in problem["detail"]


async def test_a_problem_with_regions_says_which_and_what(world: World) -> None:
    body = {"slide_id": world.slide["id"], "exclude": {"type": "Point", "coordinates": [1, 2]}}
    problem = check_problem(await world.http.post("/v1/jobs", json=body), 422, "INVALID_ARGUMENT")
    [said] = problem["errors"]
    assert said["pointer"] == "body/exclude"
    assert "regions must be polygons, not Point" in said["detail"]


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


async def test_events_of_a_job_begin_with_its_state_whatever_was_heard(world: World) -> None:
    path = f"/v1/jobs/{world.job['id']}/events"
    for heard in (None, "0", "1", "999999999", "9" * 5000, "x"):
        headers = {} if heard is None else {"last-event-id": heard}
        lines = (await world.http.get(path, headers=headers)).text.splitlines()
        assert "event: job" in lines
        assert any(line.startswith("id: ") for line in lines)
        data = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
        assert data == [await world.client.job(world.job["id"])]


async def test_events_of_no_job_are_a_problem(world: World) -> None:
    check_problem(await world.http.get("/v1/jobs/nope/events"), 404, "NOT_FOUND")


async def test_who_comes_back_too_late_reads_everything_anew(world: World) -> None:
    components = world.client.components
    newest = await components.listeners.newest()
    for unknown in (str(newest + 1), "abc", "-1", "1" * 16, ""):
        told = await anext(follow_all(NOBODY, components, unknown))
        assert (told.event, told.id, told.data) == ("reset", str(newest), {})
    told = await anext(follow_all(NOBODY, components, str(newest - 1)))
    assert told.event != "reset"
    assert int(str(told.id)) >= newest
