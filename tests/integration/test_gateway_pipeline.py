"""Jobs from the first byte to the last file, through real services and the real conductor."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from morula.common.compute import Slot
from morula.common.errors import Busy, Internal
from morula.common.testing import write_slide
from morula.gateway.ledger import demand, shards
from morula.gateway.pipeline.units import ATTEMPT_PAUSES_S
from morula.gateway.workers import Absence
from morula.segmenter.servicer import SegmenterServicer
from morula.tiler.servicer import TilerServicer
from tests.servers.gateway import ENDED, Client, gateway, place_of, services
from tests.servers.jobs import classical
from tests.servers.waiting import start_waiting

FILES = {
    "tiles.parquet",
    "cells.parquet",
    "assignments.parquet",
    "clusters.json",
    "cells.geojson.gz",
    "manifest.json",
}


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slide") / "tiny.tiff"
    write_slide(path, 1100, 800)
    return path


@pytest.fixture(scope="module")
def empty_slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import tifffile

    path = tmp_path_factory.mktemp("slide") / "empty.tiff"
    white = np.full((768, 1024, 3), 244, np.uint8)
    tifffile.imwrite(
        path, white, photometric="rgb", tile=(256, 256), resolution=(20000, 20000), resolutionunit="CENTIMETER"
    )
    return path


async def fetch(client: Client, job_id: str, name: str) -> bytes:
    response = await client.http.get(f"/v1/jobs/{job_id}/files/{name}")
    assert response.status_code == 200, response.text
    return response.content


async def units(client: Client, job_id: str) -> list[Any]:
    return await client.ledger.read(shards.list_shards, job_id)


async def test_a_slide_becomes_cells_clusters_and_files(slide: Path, tmp_path: Path) -> None:
    async with services(tmp_path) as running, gateway(running, tmp_path) as client:
        taken = await client.upload(slide)
        job = await client.run(taken["id"])
        assert (job["state"], job["verdict"], job["error"]) == ("succeeded", "cells", None)
        assert job["cell_count"] > 300
        assert all(stage["done_count"] == stage["total_count"] > 0 for stage in job["stages"])
        assert all(unit["write_count"] == 1 for unit in await units(client, job["id"]))

        files = client.ok(await client.http.get(f"/v1/jobs/{job['id']}/files"))["files"]
        assert {file["name"] for file in files} == FILES
        await check_tables(client, job)
        assert not list(running.store.list(f"default/{taken['digest']}/pixels/")), "pixels are deleted when embedded"

        again = client.ok(await client.http.post("/v1/jobs", json=classical(taken["id"])))
        assert again["id"] == job["id"]


async def check_tables(client: Client, job: dict[str, Any]) -> None:
    cells = pq.read_table(io.BytesIO(await fetch(client, job["id"], "cells.parquet")))
    assert cells.num_rows == job["cell_count"]
    assert {"cell_id", "x_px", "y_px", "geometry", "score", "state", "area_um2"} <= set(cells.column_names)
    assert json.loads(cells.schema.metadata[b"geo"])["columns"]["geometry"]["crs"] is None
    assigned = pq.read_table(io.BytesIO(await fetch(client, job["id"], "assignments.parquet")))
    assert assigned["cell_id"].to_pylist() == cells["cell_id"].to_pylist()
    clusters = json.loads(await fetch(client, job["id"], "clusters.json"))
    counts = np.unique(assigned["cluster_id"].to_numpy(), return_counts=True)
    assert {one["cluster_id"]: one["cell_count"] for one in clusters["clusters"]} == {
        node: count for node, count in zip(*(part.tolist() for part in counts), strict=True) if node
    }
    features = json.loads(gzip.decompress(await fetch(client, job["id"], "cells.geojson.gz")))["features"]
    assert [feature["id"] for feature in features] == cells["cell_id"].to_pylist()
    ring = features[0]["geometry"]["coordinates"][0]
    assert ring[0] == ring[-1]
    tiles = pq.read_table(io.BytesIO(await fetch(client, job["id"], "tiles.parquet")))
    assert tiles["tile"].to_pylist() == list(range(job["tile_count"]))
    manifest = json.loads(await fetch(client, job["id"], "manifest.json"))
    assert manifest["result_digest"] == job["result_digest"]
    assert {model["name"] for model in manifest["models"]} == {"watershed", "morphology"}


async def test_a_slide_without_tissue_ends_well_and_says_so(empty_slide: Path, tmp_path: Path) -> None:
    async with services(tmp_path) as running, gateway(running, tmp_path) as client:
        job = await client.run((await client.upload(empty_slide))["id"])
        assert (job["state"], job["verdict"], job["clustering_id"]) == ("succeeded", "no_tissue", None)
        files = client.ok(await client.http.get(f"/v1/jobs/{job['id']}/files"))["files"]
        assert {file["name"] for file in files} == FILES
        cells = pq.read_table(io.BytesIO(await fetch(client, job["id"], "cells.parquet")))
        assert cells.num_rows == 0
        tiles = pq.read_table(io.BytesIO(await fetch(client, job["id"], "tiles.parquet")))
        assert set(tiles["verdict"].to_pylist()) == {"background"}


async def test_a_second_database_over_the_same_store_finds_everything_made(slide: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    async with services(tmp_path) as running:
        async with gateway(running, tmp_path) as client:
            first = await client.run((await client.upload(slide))["id"])
            made = await units(client, first["id"])
        async with gateway(running, other) as client:
            second = await client.run((await client.upload(slide))["id"])
            done = await units(client, second["id"])
    assert second["result_digest"] == first["result_digest"]
    found = [unit for unit in done if unit["stage"] != "tables"]
    assert all((unit["write_count"], unit["attempt_count"]) == (0, 0) for unit in found)
    assert [unit["result"] for unit in done] == [unit["result"] for unit in made]


@pytest.mark.parametrize(("name", "stage"), [("segmenter", "segment"), ("labeller", "tables")])
async def test_a_service_that_is_away_is_waited_for(name: str, stage: str, slide: Path, tmp_path: Path) -> None:
    nothing = dict.fromkeys(("tiler", "segmenter", "embedder", "clusterer", "evaluator"), 0)
    async with services(tmp_path, without=(name,)) as running, gateway(running, tmp_path) as client:
        taken = await client.upload(slide)
        job = client.ok(await client.http.post("/v1/jobs", json=classical(taken["id"])))
        async for _ in client.changes(job["id"]):
            ended = (await client.job(job["id"]))["state"] in ENDED
            if ended or any(unit["busy_count"] for unit in await units(client, job["id"])):
                break
        assert (await client.job(job["id"]))["state"] == "running"
        ready = await client.http.get("/readyz")
        assert (ready.status_code, ready.json()["services"][name]) == (200, False)
        # A person's key must not wait for a labeller, so that nothing scales it.
        here = nothing | ({} if name == "labeller" else {name: 1})
        assert await client.ledger.read(demand.runnable_counts) == here
        assert f'morula_runnable{{service="segmenter"}} {here["segmenter"]}' in (await client.http.get("/metrics")).text
        await running.start(name)
        job = await client.ended(job["id"])
        assert await client.ledger.read(demand.runnable_counts) == nothing
        assert (job["state"], job["verdict"]) == ("succeeded", "cells")
        [unit] = [unit for unit in await units(client, job["id"]) if unit["stage"] == stage]
        assert unit["attempt_count"] == 1, "waiting spends no attempt"


async def test_an_upload_waits_for_a_tiler_that_has_to_start_first(slide: Path, tmp_path: Path) -> None:
    away = asyncio.Event()
    async with services(tmp_path, without=("tiler",)) as running:
        running.absence = Absence(tell=lambda name: note(name), patience_s=120.0)
        async with gateway(running, tmp_path) as client:

            async def note(name: str) -> None:
                await client.ledger.write(demand.note, name)
                away.set()

            uploading = asyncio.create_task(client.upload(slide))
            await away.wait()
            # No job needs the tiler yet: somebody who waits for it is all that can wake it.
            assert (await client.ledger.read(demand.runnable_counts))["tiler"] == 1
            await running.start("tiler")
            assert (await uploading)["width_px"] > 0


class BusyTwice(SegmenterServicer):
    """The real segmenter, which is busy at first."""

    refused = 0

    async def SegmentShard(self, request: Any, context: Any) -> Any:  # noqa: N802
        if self.refused < 2:
            self.refused += 1
            raise Busy("all places are taken", retry_after_s=0.05)
        return await super().SegmentShard(request, context)


async def test_a_busy_service_is_asked_again_without_spending_an_attempt(slide: Path, tmp_path: Path) -> None:
    async with services(tmp_path, without=("segmenter",)) as running:
        await running.start("segmenter", BusyTwice(running.store, Slot("segmenter")))
        async with gateway(running, tmp_path) as client:
            job = await client.run((await client.upload(slide))["id"])
            assert job["state"] == "succeeded"
            [unit] = [unit for unit in await units(client, job["id"]) if unit["stage"] == "segment"]
            assert (unit["attempt_count"], unit["busy_count"], unit["write_count"]) == (1, 2, 1)


class Failing(SegmenterServicer):
    """A segmenter that fails in a way that another attempt may mend, and never does."""

    async def SegmentShard(self, request: Any, context: Any) -> Any:  # noqa: N802
        raise Internal("out of order")


async def test_a_job_that_keeps_failing_fails_with_the_reason_and_can_be_retried(slide: Path, tmp_path: Path) -> None:
    async with services(tmp_path, without=("segmenter",)) as running, gateway(running, tmp_path) as client:
        await running.start("segmenter", Failing(running.store, Slot("segmenter")))
        started = time.monotonic()
        job = await client.run((await client.upload(slide))["id"])
        assert time.monotonic() - started > sum(ATTEMPT_PAUSES_S), "attempts are not spent at once"
        assert (job["state"], job["error"]["reason"]) == ("failed", "INTERNAL")
        [unit] = [unit for unit in await units(client, job["id"]) if unit["stage"] == "segment"]
        assert (unit["state"], unit["attempt_count"], unit["write_count"]) == ("failed", 3, 0)
        await running.stop("segmenter")
        await running.start("segmenter")
        client.ok(await client.http.post(f"/v1/jobs/{job['id']}/retry"))
        job = await client.ended(job["id"])
        assert (job["state"], job["error"], job["attempt"]) == ("succeeded", None, 2)


async def test_too_many_tiles_that_cannot_be_read_fail_the_job(slide: Path, tmp_path: Path) -> None:
    async with services(tmp_path, without=("tiler",)) as running:
        await running.start("tiler", HalfBlind(running.store))
        async with gateway(running, tmp_path) as client:
            job = await client.run((await client.upload(slide))["id"])
            assert (job["state"], job["error"]["reason"]) == ("failed", "SLIDE_UNREADABLE")
            assert job["failed_tile_count"] == 1


class HalfBlind(TilerServicer):
    """The real tiler, which says that it could not read one tile."""

    async def CutShard(self, request: Any, context: Any) -> Any:  # noqa: N802
        done = await super().CutShard(request, context)
        done.failed_tile_count += 1
        return done


async def test_cancel_reaches_the_call_under_way_and_retry_carries_on(slide: Path, tmp_path: Path) -> None:
    async with services(tmp_path, without=("segmenter",)) as running, gateway(running, tmp_path) as client:
        waiting = await start_waiting(running)
        taken = await client.upload(slide)
        job = client.ok(await client.http.post("/v1/jobs", json=classical(taken["id"])))
        await waiting.entered.wait()
        answer = await client.http.post(f"/v1/jobs/{job['id']}/cancel")
        assert (answer.status_code, answer.json()["state"]) == (202, "cancelling")
        await waiting.cancelled.wait()
        job = await client.ended(job["id"])
        assert job["state"] == "cancelled"
        while list(running.store.survey(f"default/{taken['digest']}/pixels/")):  # noqa: ASYNC110 nobody tells of it
            await asyncio.sleep(0.05)
        assert (await client.http.post(f"/v1/jobs/{job['id']}/cancel")).status_code == 409

        waiting.go.set()
        client.ok(await client.http.post(f"/v1/jobs/{job['id']}/retry"))
        job = await client.ended(job["id"])
        assert (job["state"], job["attempt"]) == ("succeeded", 2)
        done = {(unit["stage"], unit["write_count"]) for unit in await units(client, job["id"])}
        assert {stage for stage, writes in done if writes > 1} <= {"cut"}, "only pixels go when a job is cancelled"
        assert all(stage["done_count"] == stage["total_count"] for stage in job["stages"])


@pytest.mark.parametrize("database", ["SQLite and a folder", "PostgreSQL and S3"])
async def test_a_conductor_that_went_away_carries_on(
    database: str, slide: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url, store = place_of(database, request)
    async with services(tmp_path, without=("segmenter",), store=store) as running:
        waiting = await start_waiting(running)
        async with gateway(running, tmp_path, url) as client:
            taken = await client.upload(slide)
            job = client.ok(await client.http.post("/v1/jobs", json=classical(taken["id"])))
            await waiting.entered.wait()
        waiting.go.set()
        async with gateway(running, tmp_path, url) as client:
            ended = await client.ended(job["id"])
            assert (ended["state"], ended["attempt"]) == ("succeeded", 1)
            assert all(unit["write_count"] == 1 for unit in await units(client, job["id"]))


async def test_slides_are_clustered_together(slide: Path, tmp_path: Path) -> None:
    second = tmp_path / "second.tiff"
    write_slide(second, 900, 800, seed=5)
    async with services(tmp_path) as running, gateway(running, tmp_path) as client:
        jobs = [await client.run((await client.upload(path))["id"]) for path in (slide, second)]
        body = {"job_ids": [job["id"] for job in jobs], "name": "Both"}
        cohort = client.ok(await client.http.post("/v1/clusterings", json=body))
        cohort = await client.ended(cohort["id"])
        assert (cohort["state"], cohort["kind"], cohort["slide_id"]) == ("succeeded", "cohort", None)
        found = client.ok(await client.http.get(f"/v1/clusterings/{cohort['clustering_id']}"))
        assert found["cell_count"] == sum(job["cell_count"] for job in jobs)
        assert [one["row_start"] for one in found["slides"]] == [0, jobs[0]["cell_count"]]
        assert found["mixing"]["low"] <= found["mixing"]["score"] <= found["mixing"]["high"]
        assert all(0.5 < one["mixing"] < 1.2 for one in found["slides"]), "they are painted alike"
        files = f"/v1/jobs/{cohort['id']}/files/clusters.json"
        told = client.ok(await client.http.get(files))
        assert (told["mixing"], [one["mixing"] for one in told["slides"]]) == (
            found["mixing"],
            [one["mixing"] for one in found["slides"]],
        )
        page = client.ok(await client.http.get(f"/v1/labellings/{cohort['labelling_id']}/page"))
        assert len(page["cells"]) == 12
        for sheet in {cell["sheet"] for cell in page["cells"]}:
            picture = await client.http.get(sheet)
            assert (picture.status_code, picture.headers["content-type"]) == (200, "image/jpeg")
