"""What is deleted goes whole, rows first, and nothing of anybody else's goes with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from morula.common.compute import Slot
from morula.common.errors import Unavailable
from morula.common.store import Store, open_store
from morula.common.testing import write_slide
from morula.gateway import burial
from morula.gateway.api.events import follow_all
from morula.gateway.ledger import objects
from morula.gateway.ledger.tables import metadata
from morula.segmenter.servicer import SegmenterServicer
from tests.servers.busy_segmenter import BusySegmenter
from tests.servers.ceph import S3Server
from tests.servers.gateway import NOBODY, Client, Services, gateway, services
from tests.servers.jobs import classical

LATER = time.time() + 3600.0
LAID = {"alembic_version", "counter", "event", "label_class", "label_set", "project"}
"""Tables that have rows in a database where nothing is left."""


@pytest.fixture(params=["sqlite and folder", "postgresql and s3"])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Callable[[], Store] | None]:
    """URL of a database, and how its store is opened."""
    if request.param == "sqlite and folder":
        return "", None
    server: S3Server = request.getfixturevalue("s3_server")
    url = request.getfixturevalue("postgres_url").replace("postgresql://", "postgresql+psycopg://")
    store_url = request.getfixturevalue("s3_url")
    keys = {"access_key": server.access_key, "secret_key": server.secret_key}
    return url, lambda: open_store(store_url, cache_dir=tmp_path / "cache", **keys)


@asynccontextmanager
async def gateway_on(
    ground: tuple[str, Callable[[], Store] | None], root: Path, segmenter: type[SegmenterServicer] | None = None
) -> AsyncIterator[tuple[Client, Services]]:
    url, open_ground = ground
    async with services(root, without=tuple(["segmenter"] if segmenter else [])) as running:
        if open_ground is not None:
            for name in list(running.servers):
                await running.stop(name)
            running.store = open_ground()
            for name in (
                "tiler",
                "embedder",
                "clusterer",
                "labeller",
                "evaluator",
                *([] if segmenter else ["segmenter"]),
            ):
                await running.start(name)
        if segmenter is not None:
            await running.start("segmenter", segmenter(running.store, Slot("segmenter")))
        async with gateway(running, root, url) as client:
            yield client, running


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.tiff"
    write_slide(path, 640, 512)
    return path


def keys(running: Services) -> set[str]:
    return {stored.key for stored in running.store.list("default/")}


def rows(client: Client) -> set[str]:
    """Tables with rows."""
    with client.ledger.reading() as tx:
        return {t.name for t in metadata.sorted_tables if tx.execute(select(func.count()).select_from(t)).scalar_one()}


async def settled(client: Client) -> None:
    """Once nothing is left to be deleted."""
    while await client.ledger.read(objects.doomed_keys, 1, LATER):  # noqa: ASYNC110 rows are all that shows it
        await asyncio.sleep(0.05)


async def gone(client: Client, path: str) -> None:
    while (await client.http.get(path)).status_code != 404:  # noqa: ASYNC110 as a person would
        await asyncio.sleep(0.05)
    await settled(client)


async def delete(client: Client, path: str) -> int:
    return (await client.http.delete(path)).status_code


async def test_everything_goes_and_what_is_shared_stays(ground: Any, slide: Path, tmp_path: Path) -> None:
    async with gateway_on(ground, tmp_path) as (client, running):
        taken = await client.upload(slide)
        first = await client.run(taken["id"])
        assert rows(client) - LAID >= {"slide", "job", "clustering", "labelling", "object_use"}
        own = keys(running)
        # A cohort of one rests on its job, and its clustering is the same arrays.
        body = {"job_ids": [first["id"]], "name": "Alone"}
        cohort = client.ok(await client.http.post("/v1/clusterings", json=body))
        for path in (f"/v1/slides/{taken['id']}", f"/v1/jobs/{first['id']}"):
            refused = await client.http.delete(path)
            assert (refused.status_code, refused.json()["reason"]) == (409, "IN_USE")
            assert (refused.json()["job_ids"], "Alone" in refused.json()["detail"]) == (cohort["id"], True)
        ended = await client.ended(cohort["id"])
        assert own < keys(running)
        assert await delete(client, f"/v1/jobs/{cohort['id']}") == 204
        assert await delete(client, f"/v1/jobs/{cohort['id']}") == 404
        await settled(client)
        assert keys(running) == own
        # It was opened before, by the job's last stage.
        for path in ("", "/layers/leaf", "/clusters"):
            assert (await client.http.get(f"/v1/clusterings/{ended['clustering_id']}{path}")).status_code == 404

        before = await client.components.listeners.newest()
        assert await delete(client, f"/v1/slides/{taken['id']}") == 204
        await settled(client)
        assert keys(running) == set()
        assert rows(client) <= LAID
        told = follow_all(NOBODY, client.components, str(before))
        heard = [await anext(told) for _ in range(3)]
        assert {one.event for one in heard} == {"deleted"}
        assert {one.data["kind"] for one in heard} == {"slide", "job", "labelling"}

        # The same slide again is a new one, and nothing stands in its way.
        again = await client.upload(slide)
        assert (await client.run(again["id"]))["result_digest"] == first["result_digest"]


async def test_what_is_at_work_is_stopped_first(ground: Any, slide: Path, tmp_path: Path) -> None:
    async with gateway_on(ground, tmp_path, BusySegmenter) as (client, running):
        busy = running.servers["segmenter"][1]
        assert isinstance(busy, BusySegmenter)
        taken = await client.upload(slide)
        job = client.ok(await client.http.post("/v1/jobs", json=classical(taken["id"])))
        await busy.asked.wait()
        answer = await client.http.delete(f"/v1/slides/{taken['id']}")
        assert (answer.status_code, answer.json()["id"], answer.json()["deleting"]) == (202, taken["id"], True)
        refused = await client.http.post("/v1/jobs", json=classical(taken["id"]))
        assert refused.status_code in (404, 409)
        await gone(client, f"/v1/slides/{taken['id']}")
        assert (await client.http.get(f"/v1/jobs/{job['id']}")).status_code == 404
        assert rows(client) <= LAID
        assert keys(running) == set()


async def test_a_crash_between_rows_and_objects_leaves_nothing(
    ground: Any, slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with gateway_on(ground, tmp_path) as (client, running):
        taken = await client.upload(slide)
        await client.run(taken["id"])
        monkeypatch.setattr(burial, "LOST_S", 3.0)
        kind = type(running.store)
        with monkeypatch.context() as patch:
            patch.setattr(kind, "delete", lambda *_: (_ for _ in ()).throw(Unavailable("pulled out")))
            assert await delete(client, f"/v1/slides/{taken['id']}") == 204
            await asyncio.sleep(0.1)
            assert keys(running), "nothing could be deleted"
            assert rows(client) - LAID == {"artifact", "doomed_object"}
        url, _ = ground
        async with gateway(running, tmp_path, url) as restarted:
            await settled(restarted)
            assert keys(running) == set()


async def test_a_slide_that_was_named_by_its_key_leaves_its_object(slide: Path, tmp_path: Path) -> None:
    async with gateway_on(("", None), tmp_path) as (client, running):
        running.store.put("theirs/a.tiff", slide)
        taken = client.ok(await client.http.post("/v1/slides", json={"key": "theirs/a.tiff"}))
        assert await delete(client, f"/v1/slides/{taken['id']}") == 204
        await settled(client)
        assert running.store.stat("theirs/a.tiff")


async def test_a_labelling_goes_alone(slide: Path, tmp_path: Path) -> None:
    async with gateway_on(("", None), tmp_path) as (client, running):
        taken = await client.upload(slide)
        job = await client.run(taken["id"])
        body = {"clustering_id": job["clustering_id"]}
        other = client.ok(await client.http.post("/v1/labellings", json=body))["id"]
        before = keys(running)
        path = f"/v1/labellings/{job['labelling_id']}"
        for row, number in ((0, 1), (1, 2)):
            event = {"kind": "cell_set", "body": {"row": row, "class_number": number}}
            client.ok(await client.http.post(f"{path}/events", json=event))
        assert any("/model/" in key for key in keys(running))
        assert await delete(client, path) == 204
        assert await delete(client, path) == 404
        await settled(client)
        assert keys(running) - {key for key in keys(running) if "/sheet/" in key} == before
        assert (await client.job(job["id"]))["labelling_id"] == other
