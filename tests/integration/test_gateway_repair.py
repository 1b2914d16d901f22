"""Artifacts that are damaged or gone are made again, with what follows from them, and nothing wrong is believed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from morula.clusterer.servicer import ClustererServicer
from morula.common.arrays import read_array, write_array
from morula.common.compute import Slot
from morula.common.errors import ArtifactInvalid, FailedPrecondition
from morula.common.store import Store, Stored
from morula.common.testing import write_slide
from morula.embedder.servicer import EmbedderServicer
from morula.gateway.ledger import shards
from morula.segmenter.servicer import SegmenterServicer
from tests.servers.gateway import Client, Job, Services, gateway, place_of, services
from tests.servers.jobs import classical

BEFORE_CLUSTERING = ("plan", "tiles", "cells", "vectors", "morphology", "shards", "index", "outlines")
CLUSTERING = ("leaf", "tree", "features", "confidence", "layout")
AFTER_THE_END = [
    *((stage,) for stage in (*BEFORE_CLUSTERING[:-1], *CLUSTERING, "table")),
    ("shards", "cells", "vectors"),
]


def zero(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.seek(path.stat().st_size // 3)
        stream.write(bytes(400))


def cut(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size // 2)


DAMAGES: tuple[Callable[[Path], Any], ...] = (zero, cut, Path.unlink)


class FailingClusterer(ClustererServicer):
    """Settles, and clusters nothing."""

    async def ClusterCells(self, request: Any, _context: Any) -> Any:  # noqa: N802
        raise FailedPrecondition("not today")
        yield


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slide") / "tiny.tiff"
    write_slide(path, 1100, 800)
    return path


def objects(store: Store, *stages: str) -> list[Stored]:
    return [one for one in store.list("default/") if one.key.split("/")[2] in stages]


async def retry(client: Client, job_id: str) -> Job:
    client.ok(await client.http.post(f"/v1/jobs/{job_id}/retry"))
    return await client.ended(job_id)


async def restart(running: Services, name: str, servicer: object | None = None) -> None:
    await running.stop(name)
    await running.start(name, servicer)


async def check_progress(client: Client, job: Job) -> None:
    assert all(stage["done_count"] == stage["total_count"] > 0 for stage in job["stages"]), job["stages"]
    assert {unit["state"] for unit in await client.ledger.read(shards.list_shards, job["id"])} == {"done"}


async def test_what_is_damaged_after_the_end_is_made_again_by_a_retry(slide: Path, tmp_path: Path) -> None:
    async with services(tmp_path) as running, gateway(running, tmp_path) as client:
        taken = await client.upload(slide)
        first = await client.run(taken["id"])
        assert first["state"] == "succeeded", first
        wrong = await client.http.post(f"/v1/jobs/{first['id']}/retry")
        assert (wrong.status_code, wrong.json()["reason"]) == (409, "CONFLICT")
        whole = {one.key: one for one in running.store.list("default/")}
        for number, stages in enumerate(AFTER_THE_END):
            for one in objects(running.store, *stages):
                DAMAGES[number % len(DAMAGES)](tmp_path / "objects" / one.key)
            job = await retry(client, first["id"])
            assert (job["state"], job["result_digest"]) == ("succeeded", first["result_digest"]), (stages, job["error"])
            assert (job["clustering_id"], job["labelling_id"]) == (first["clustering_id"], first["labelling_id"])
            await check_progress(client, job)
            assert {one.key: one for one in running.store.list("default/")} == whole
            for stored in whole.values():
                running.store.verify(stored.key, stored.sha256)
        for one in objects(running.store, "outlines", "table"):
            one_path = tmp_path / "objects" / one.key
            one_path.unlink()
        again = client.ok(await client.http.post("/v1/jobs", json=classical(taken["id"])))
        assert again["id"] == first["id"], "the same again finds the holes"
        job = await client.ended(first["id"])
        assert (job["state"], job["result_digest"]) == ("succeeded", first["result_digest"])
        assert {one.key: one for one in running.store.list("default/")} == whole


async def test_what_is_damaged_between_the_stages_is_made_again(slide: Path, tmp_path: Path) -> None:
    async with services(tmp_path, without=("clusterer",)) as running, gateway(running, tmp_path) as client:
        await running.start("clusterer", FailingClusterer(running.store, Slot("clusterer")))
        taken = await client.upload(slide)
        job = await client.run(taken["id"])
        assert (job["state"], job["error"]["detail"]) == ("failed", "not today")
        whole = {one.key: one for one in running.store.list("default/")}
        for number, stage in enumerate(BEFORE_CLUSTERING):
            for one in objects(running.store, stage):
                DAMAGES[number % len(DAMAGES)](tmp_path / "objects" / one.key)
            again = await retry(client, job["id"])
            assert (again["state"], again["error"]["detail"]) == ("failed", "not today"), stage
            assert {one.key: one for one in running.store.list("default/")} == whole
            for stored in whole.values():
                running.store.verify(stored.key, stored.sha256)
        await restart(running, "clusterer")
        assert (await retry(client, job["id"]))["state"] == "succeeded"


def put_other(store: Store, stored: Stored) -> None:
    """Other bytes, of which the store itself does not know that they are others."""
    content = store.get(stored.key)
    store.delete(stored.key)
    store.put(stored.key, content[: len(content) // 2] + bytes(400) + content[len(content) // 2 + 400 :])


@pytest.mark.parametrize("ground", ["SQLite and a folder", "PostgreSQL and S3"])
async def test_a_running_job_makes_again_what_it_finds_damaged(
    ground: str, slide: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url, store = place_of(ground, request)
    async with (
        services(tmp_path, without=("clusterer",), store=store) as running,
        gateway(running, tmp_path, url) as client,
    ):
        taken = await client.upload(slide)
        job = client.ok(await client.http.post("/v1/jobs", json=classical(taken["id"])))
        async for _ in client.changes(job["id"]):
            if (await client.job(job["id"]))["stages"][4]["total_count"]:
                break
        for stage in ("cells", "vectors", "shards"):
            for one in objects(running.store, stage):
                running.store.delete(one.key) if stage == "vectors" else put_other(running.store, one)
        await running.start("clusterer")
        ended = await client.ended(job["id"])
        assert ended["state"] == "succeeded", ended["error"]
        await check_progress(client, ended)


class OtherEmbedder(EmbedderServicer):
    """Embeds as another kind of machine might."""

    def _embed(self, *args: Any) -> list[Stored]:
        made = super()._embed(*args)
        vectors = read_array(self._store.get(made[0].key))
        self._store.delete(made[0].key)
        return [self._store.put(made[0].key, write_array(vectors + np.float16(0.25))), made[1]]


async def test_what_cannot_be_made_again_the_same_is_never_put_under_a_published_clustering(
    slide: Path, tmp_path: Path
) -> None:
    async with services(tmp_path) as running, gateway(running, tmp_path) as client:
        first = await client.run((await client.upload(slide))["id"])
        place = f"/v1/clusterings/{first['clustering_id']}/layers/leaf"
        leaf = (await client.http.get(place)).content
        for one in objects(running.store, "vectors"):
            zero(tmp_path / "objects" / one.key)
        await restart(running, "embedder", OtherEmbedder(running.store, Slot("embedder")))
        job = await retry(client, first["id"])
        assert (job["state"], job["error"]["reason"]) == ("failed", "FAILED_PRECONDITION")
        assert "came out differently" in job["error"]["detail"]
        answer = await client.http.get(place)
        assert answer.status_code == 410 or answer.content == leaf


async def test_a_job_whose_slide_is_gone_says_so_and_goes_on_once_it_is_brought_again(
    slide: Path, tmp_path: Path
) -> None:
    async with services(tmp_path) as running, gateway(running, tmp_path) as client:
        taken = await client.upload(slide)
        await restart(running, "tiler")  # which had the slide open
        for one in objects(running.store, "slide"):
            zero(tmp_path / "objects" / one.key)
        job = await client.run(taken["id"])
        assert (job["state"], job["error"]["reason"]) == ("failed", "GONE")
        assert "upload the slide again" in job["error"]["detail"]
        assert (await client.upload(slide))["id"] == taken["id"]
        assert (await retry(client, job["id"]))["state"] == "succeeded"


class SegmenterOverNothing(SegmenterServicer):
    """Takes the whole store away once, for a while, and says of the first shard that its pixels cannot be read."""

    def __init__(self, store: Store, folder: Path) -> None:
        super().__init__(store, Slot("segmenter"))
        self._folder = folder
        self.back: asyncio.Task[None] | None = None

    async def SegmentShard(self, request: Any, context: Any) -> Any:  # noqa: N802
        if self.back is None:
            away = self._folder.rename(self._folder.with_name("away"))
            self.back = asyncio.create_task(asyncio.to_thread(self._bring_back, away))
            raise ArtifactInvalid("the pixels cannot be read", key=request.pixels.key)
        return await super().SegmentShard(request, context)

    def _bring_back(self, away: Path) -> None:
        time.sleep(1.0)
        away.rename(self._folder)


async def test_what_looks_damaged_because_the_store_is_away_fails_no_job(slide: Path, tmp_path: Path) -> None:
    async with services(tmp_path, without=("segmenter",)) as running, gateway(running, tmp_path) as client:
        segmenter = SegmenterOverNothing(running.store, tmp_path / "objects")
        await running.start("segmenter", segmenter)
        job = await client.run((await client.upload(slide))["id"])
        assert segmenter.back is not None
        assert (job["state"], job["error"]) == ("succeeded", None)
