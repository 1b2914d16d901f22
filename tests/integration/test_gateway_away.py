"""A database that is away for a while costs time and nothing else: no job, no word, no thread."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, text

from morula.common.errors import Unavailable
from morula.common.testing import write_slide
from morula.gateway.ledger import clusterings, events, holds, jobs, labels
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.holds import HeldLedger, JobLost
from morula.gateway.ledger.migrate import default_project, migrate
from tests.servers.ceph import S3Server
from tests.servers.disks import filled, small_disk
from tests.servers.gateway import Client, Job, gateway, place_of, services
from tests.servers.jobs import classical
from tests.servers.postgres import PostgresServer
from tests.servers.rows import add_job, add_labelling
from tests.servers.waiting import start_waiting

LABEL_SET = {"name": "Mine", "classes": []}


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.tiff"
    write_slide(path, 640, 512)
    return path


async def submit(client: Client, slide: Path) -> Job:
    taken = await client.upload(slide)
    return client.ok(await client.http.post("/v1/jobs", json=classical(taken["id"])))


@pytest.mark.parametrize("away_s", [1.0, 6.0])
async def test_a_job_outlives_a_restart_of_postgresql(
    away_s: float, slide: Path, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    url = postgres_server.new_database().replace("postgresql://", "postgresql+psycopg://")
    async with services(tmp_path, without=("segmenter",)) as running:
        waiting = await start_waiting(running)
        async with gateway(running, tmp_path, url) as client:
            job = await submit(client, slide)
            await waiting.entered.wait()
            await asyncio.to_thread(postgres_server.stop)
            # The unit ends while nothing can be written down.
            waiting.go.set()
            told = asyncio.create_task(client.http.get(f"/v1/jobs/{job['id']}"))
            ready = await client.http.get("/readyz")
            assert (ready.status_code, ready.json()["database"]) == (503, "away")
            await asyncio.sleep(away_s - 1.0)
            if away_s > 5:
                answer = await told
                assert (answer.status_code, answer.json()["reason"]) == (503, "UNAVAILABLE")
                assert int(answer.headers["retry-after"]) > 0
            await asyncio.to_thread(postgres_server.start)
            await told
            ended = await client.ended(job["id"])
            assert (ended["state"], ended["attempt"], ended["error"]) == ("succeeded", 1, None)
            assert (await client.http.get("/readyz")).status_code == 200


async def test_a_job_outlives_a_lock_on_the_file_that_outlasts_people(slide: Path, tmp_path: Path) -> None:
    async with services(tmp_path, without=("segmenter",)) as running:
        waiting = await start_waiting(running)
        async with gateway(running, tmp_path) as client:
            job = await submit(client, slide)
            await waiting.entered.wait()
            with closing(sqlite3.connect(tmp_path / "morula.sqlite", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                waiting.go.set()
                asked = [client.http.post("/v1/label-sets", json=LABEL_SET) for _ in range(6)]
                answers = await asyncio.gather(*asked)
                assert {answer.status_code for answer in answers} == {503}
                assert (await client.http.get(f"/v1/jobs/{job['id']}")).json()["state"] == "running"
                other.rollback()
            ended = await client.ended(job["id"])
            assert (ended["state"], ended["error"]) == ("succeeded", None)


async def test_a_job_outlives_a_full_disk_under_its_databases(slide: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 6 << 20) as disk:
        url = f"sqlite:///{disk}/morula.sqlite"
        async with services(tmp_path, without=("segmenter",)) as running:
            waiting = await start_waiting(running)
            async with gateway(running, tmp_path, url) as client:
                job = await submit(client, slide)
                await waiting.entered.wait()
                with filled(disk):
                    waiting.go.set()
                    body = {**LABEL_SET, "name": "Mine"}
                    while (await client.http.post("/v1/label-sets", json=body)).is_success:
                        # What is set aside of the file is used up first.
                        body["name"] += "e"
                    assert (await client.job(job["id"]))["state"] == "running"
                ended = await client.ended(job["id"])
                assert (ended["state"], ended["attempt"], ended["error"]) == ("succeeded", 1, None)


async def test_a_job_outlives_a_store_that_is_away(
    slide: Path, tmp_path: Path, s3_server: S3Server, request: pytest.FixtureRequest
) -> None:
    url, store = place_of("PostgreSQL and S3", request)
    async with services(tmp_path, without=("segmenter",), store=store) as running:
        waiting = await start_waiting(running)
        async with gateway(running, tmp_path, url) as client:
            job = await submit(client, slide)
            await waiting.entered.wait()
            await asyncio.to_thread(s3_server.stop)
            waiting.go.set()
            async for _ in client.changes(job["id"]):
                if (await client.job(job["id"]))["waiting_for"]:
                    break
            await asyncio.to_thread(s3_server.start)
            ended = await client.ended(job["id"])
            assert (ended["state"], ended["error"], ended["waiting_for"]) == ("succeeded", None, None)


async def test_the_patient_wait_and_people_are_told(tmp_path: Path) -> None:
    migrate(f"sqlite:///{tmp_path}/ledger.sqlite")
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.sqlite", patience_s=0.2)
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable):
            await ledger.write(events.announce, "job", "a")
        patient = asyncio.create_task(ledger.patient.write(events.announce, "job", "b"))
        await asyncio.sleep(1.0)
        other.rollback()
        await patient
    assert await ledger.read(events.last_change) == 1
    ledger.close()


@pytest.mark.parametrize("committed", [True, False])
async def test_a_word_is_kept_once_though_the_answer_to_its_commit_is_lost(
    committed: bool, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres_server.new_database().replace("postgresql://", "postgresql+psycopg://")
    migrate(url)
    ledger = Ledger(url)
    with ledger.writing() as tx:
        labelling_id = add_labelling(tx, default_project(tx))
    commit, lost = ledger.engine.dialect.do_commit, []

    def losing(connection: Any) -> None:
        if not lost:
            lost.append(connection)
            if committed:
                commit(connection)
            connection.driver_connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        commit(connection)

    monkeypatch.setattr(ledger.engine.dialect, "do_commit", losing)
    body = {"row": 1, "class_number": 1}
    assert await ledger.write(labels.append_event, labelling_id, "a", "cell_set", body, None) == 1
    assert lost
    assert [one.seq for one in await ledger.read(labels.list_events, labelling_id)] == [1]
    ledger.close()


async def test_of_four_who_ask_at_once_one_makes_the_job(ledger: Ledger, project: str) -> None:
    with ledger.writing() as tx:
        add_job(tx, project, "another")
    answers = await asyncio.gather(*(ledger.write(add_job, project, "same") for _ in range(4)))
    assert len({job_id for job_id, _ in answers}) == 1
    assert sorted(created for _, created in answers) == [False, False, False, True]


async def test_what_two_keep_at_once_is_kept_once(ledger: Ledger, project: str) -> None:
    with ledger.writing() as tx:
        labelling_id = add_labelling(tx, project)
        clustering_id = labels.get_labelling(tx, labelling_id)["clustering_id"]

    def keep(tx: Connection) -> None:
        clusterings.keep_cut(tx, clustering_id, 3, {"clusters": []})
        labels.keep_layer(tx, labelling_id, 1, 3, {}, 0.1)

    with ledger.writing() as tx:
        keep(tx)
        second = asyncio.create_task(ledger.write(keep))
        await asyncio.sleep(0.3)
    await second
    assert await ledger.read(clusterings.find_cut, clustering_id, 3) == {"clusters": []}


async def test_a_run_that_lost_its_job_writes_nothing_more(ledger: Ledger, project: str) -> None:
    with ledger.writing() as tx:
        job_id, _ = add_job(tx, project)
        first = holds.take_up(tx, job_id, 0, "a/1")
        assert first is not None
        assert holds.take_up(tx, job_id, 0, "b/1") is None, "somebody was faster"
    frozen = HeldLedger(ledger, first)
    await frozen.write(jobs.start_job, job_id)
    second = await ledger.write(holds.take_up, job_id, 1, "b/1")
    assert second is not None
    with pytest.raises(JobLost):
        await frozen.write(jobs.finish_job, job_id, "failed")
    with pytest.raises(JobLost):
        await frozen.read(holds.watched_state, first)
    await HeldLedger(ledger, second).write(jobs.finish_job, job_id, "succeeded")
    assert await ledger.read(jobs.job_state, job_id) == "succeeded"


async def test_publishing_and_cancelling_take_turns(ledger: Ledger, project: str) -> None:
    with ledger.writing() as tx:
        job_id, _ = add_job(tx, project)
        hold = holds.take_up(tx, job_id, 0, "a/1")
    assert hold is not None

    def publish(tx: Connection) -> None:
        events.announce(tx, "labelling", "b")
        if tx.dialect.name == "postgresql":
            tx.execute(text("SELECT pg_sleep(0.5)"))
        jobs.note_job(tx, job_id, cell_count=1)

    published = asyncio.create_task(HeldLedger(ledger, hold).write(publish))
    await asyncio.sleep(0.2)
    await ledger.write(jobs.ask_to_cancel, job_id)
    await published
    assert await ledger.read(jobs.job_state, job_id) == "cancelling"
