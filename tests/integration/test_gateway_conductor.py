"""Jobs outlive their conductor, its engine's bad moments and the ledger's."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dbos import DBOS
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from morula.common.compute import Slot
from morula.common.testing import write_slide
from morula.gateway.ledger import jobs as ledger_jobs
from morula.gateway.pipeline import run
from tests.servers.busy_segmenter import BusySegmenter
from tests.servers.gateway import Client, Job, gateway, services
from tests.servers.jobs import classical
from tests.servers.waiting import start_waiting


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.tiff"
    write_slide(path, 640, 512)
    return path


async def submit(client: Client, slide: Path) -> Job:
    taken = await client.upload(slide)
    return client.ok(await client.http.post("/v1/jobs", json=classical(taken["id"])))


async def test_a_conductor_that_is_stopped_at_work_fails_no_job(
    slide: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with services(tmp_path, without=("segmenter",)) as running:
        busy = BusySegmenter(running.store, Slot("segmenter"))
        await running.start("segmenter", busy)
        with capture_logs() as said:
            async with gateway(running, tmp_path) as client:
                job = await submit(client, slide)
                await busy.asked.wait()
        assert [line for line in said if line["log_level"] == "error"] == []
        assert [record.getMessage() for record in caplog.records if record.name == "dbos"] == []
        busy.takes = True
        async with gateway(running, tmp_path) as client:
            ended = await client.ended(job["id"])
        assert (ended["state"], ended["attempt"], ended["error"]) == ("succeeded", 1, None)


def failing_once(query: Callable[..., Any], error: Exception) -> Callable[..., Any]:
    """The same, which fails the first time."""
    errors = [error]

    def called(*args: Any, **kwargs: Any) -> Any:
        if errors:
            raise errors.pop()
        return query(*args, **kwargs)

    return called


async def test_a_job_is_submitted_though_the_engine_failed_once(
    slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with services(tmp_path) as running, gateway(running, tmp_path) as client:
        asked = failing_once(DBOS.start_workflow_async, RuntimeError("the engine is not well"))
        monkeypatch.setattr(DBOS, "start_workflow_async", asked)
        job = await client.ended((await submit(client, slide))["id"])
        assert job["state"] == "succeeded"


async def test_a_watch_that_cannot_read_once_fails_no_job(
    slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cause = sqlite3.OperationalError("disk I/O error")
    cause.sqlite_errorcode = sqlite3.SQLITE_IOERR
    asked = failing_once(run.watched_state, OperationalError("SELECT", {}, cause))
    monkeypatch.setattr(run, "watched_state", asked)
    async with services(tmp_path) as running, gateway(running, tmp_path) as client:
        job = await client.ended((await submit(client, slide))["id"])
    assert (job["state"], job["error"]) == ("succeeded", None)


async def test_what_the_engine_lost_is_taken_up_again(slide: Path, tmp_path: Path) -> None:
    async with services(tmp_path, without=("segmenter",)) as running:
        waiting = await start_waiting(running)
        async with gateway(running, tmp_path) as client:
            job = await submit(client, slide)
            await waiting.entered.wait()
            await DBOS.cancel_workflow_async(f"{job['id']}:1")
            waiting.go.set()
            ended = await client.ended(job["id"])
            assert (ended["state"], ended["attempt"], ended["error"]) == ("succeeded", 1, None)
            assert (await client.ledger.read(ledger_jobs.get_job, job["id"]))["generation"] == 2


async def test_what_nobody_foresees_is_tried_thrice_and_then_told(
    slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(run, "tree_facts", broken)
    async with services(tmp_path) as running, gateway(running, tmp_path) as client:
        ended = await client.ended((await submit(client, slide))["id"])
        assert (ended["state"], ended["error"]["reason"]) == ("failed", "INTERNAL")
        row = await client.ledger.read(ledger_jobs.get_job, ended["id"])
        assert (row["crash_count"], row["generation"]) == (3, 3)
        monkeypatch.undo()
        client.ok(await client.http.post(f"/v1/jobs/{ended['id']}/retry"))
        assert (await client.ended(ended["id"]))["state"] == "succeeded"


async def test_a_job_that_waits_in_line_is_cancelled_at_once(slide: Path, tmp_path: Path) -> None:
    async with services(tmp_path, without=("segmenter",)) as running:
        waiting = await start_waiting(running)
        async with gateway(running, tmp_path, job_concurrency=1) as client:
            first = await submit(client, slide)
            await waiting.entered.wait()
            body = classical(first["slide_id"], mpp=1.0)
            second = client.ok(await client.http.post("/v1/jobs", json=body))
            client.ok(await client.http.post(f"/v1/jobs/{second['id']}/cancel"))
            assert (await client.ended(second["id"]))["state"] == "cancelled"
            assert (await client.job(first["id"]))["state"] == "running"


async def test_a_service_that_is_away_is_named(slide: Path, tmp_path: Path) -> None:
    async with services(tmp_path, without=("segmenter",)) as running, gateway(running, tmp_path) as client:
        job = await submit(client, slide)
        async for _ in client.changes(job["id"]):
            if (await client.job(job["id"]))["waiting_for"]:
                break
        await running.start("segmenter")
        ended = await client.ended(job["id"])
        assert (ended["state"], ended["waiting_for"]) == ("succeeded", None)
