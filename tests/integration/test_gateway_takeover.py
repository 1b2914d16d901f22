"""Two gateways on one database: what one was killed or frozen in, the other carries on with, and only the other."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from morula.common.store import open_store
from morula.common.testing import write_slide
from morula.gateway.__main__ import serve
from morula.gateway.settings import GatewaySettings
from tests.servers.ceph import S3Server
from tests.servers.gateway import Services, as_part, services
from tests.servers.jobs import classical
from tests.servers.require import free_ports
from tests.servers.rest import until_ended, until_ready
from tests.servers.waiting import start_waiting
from tests.servers.waiting_evaluator import start_waiting_evaluator

PATIENCE_S = 120


@asynccontextmanager
async def two_gateways(
    running: Services,
    root: Path,
    database_url: str,
    store_url: str,
    server: S3Server,
    parts: tuple[str, str] = ("all", "all"),
) -> AsyncIterator[dict[str, tuple[Process, httpx.AsyncClient]]]:
    found: dict[str, tuple[Process, httpx.AsyncClient]] = {}
    names = ("tiler", "segmenter", "embedder", "clusterer", "labeller", "evaluator")
    try:
        for name, part, port in zip(("one", "two"), parts, free_ports(2), strict=True):
            environment = {
                "PATH": "/usr/bin:/bin",
                "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                "MORULA_PORT": str(port),
                "MORULA_EXECUTOR_ID": name,
                "MORULA_DATABASE_URL": database_url.replace("postgresql://", "postgresql+psycopg://"),
                "MORULA_STORE_URL": store_url,
                "MORULA_S3_ACCESS_KEY": server.access_key,
                "MORULA_S3_SECRET_KEY": server.secret_key,
                "MORULA_CACHE_DIR": str(root / name),
                **{f"MORULA_{service.upper()}_ADDRESS": running.address(service) for service in names},
            }
            with (root / f"{name}.log").open("wb") as log:
                command = (sys.executable, "-m", "morula.gateway", part)
                process = await asyncio.create_subprocess_exec(*command, env=environment, stderr=log)
            found[name] = (process, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60))
        async with asyncio.timeout(PATIENCE_S):
            for _, client in found.values():
                await until_ready(client)
        yield found
    finally:
        for process, client in found.values():
            await client.aclose()
            if process.returncode is None:
                process.kill()
            await process.wait()


def holder(database_url: str, job_id: str) -> str:
    """Name of the gateway that runs the job."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT conductor FROM job WHERE id = %s", [job_id]).fetchone()
    assert row is not None
    return str(row[0]).split("/", 1)[0]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_another_conductor_carries_on(
    number: signal.Signals, tmp_path: Path, postgres_url: str, s3_server: S3Server, s3_url: str
) -> None:
    path = tmp_path / "tiny.tiff"
    write_slide(path, 640, 512)
    store = open_store(s3_url, access_key=s3_server.access_key, secret_key=s3_server.secret_key)
    async with services(tmp_path, without=("segmenter",), store=store) as running:
        waiting = await start_waiting(running)
        async with two_gateways(running, tmp_path, postgres_url, s3_url, s3_server) as found:
            _, client = found["one"]
            taken = (await client.post("/v1/slides", files=as_part(path))).json()
            job = (await client.post("/v1/jobs", json=classical(taken["id"]))).json()
            await asyncio.wait_for(waiting.entered.wait(), PATIENCE_S)
            held_by = holder(postgres_url, job["id"])
            found[held_by][0].send_signal(number)
            waiting.go.set()
            (other,) = set(found) - {held_by}
            ended = await until_ended(found[other][1], job["id"])
            assert (ended["state"], ended["attempt"], ended["error"]) == ("succeeded", 1, None)
            assert holder(postgres_url, job["id"]) == other
            if number == signal.SIGSTOP:
                found[held_by][0].send_signal(signal.SIGCONT)
                await until_ready(found[held_by][1])
                assert (await until_ended(found[held_by][1], job["id"]))["result_digest"] == ended["result_digest"]
                assert holder(postgres_url, job["id"]) == other
                await carry_on_an_evaluation(running, found, postgres_url, ended["clustering_id"])


async def test_api_and_conductor_are_processes_of_their_own(
    tmp_path: Path, postgres_url: str, s3_server: S3Server, s3_url: str
) -> None:
    path = tmp_path / "tiny.tiff"
    write_slide(path, 640, 512)
    store = open_store(s3_url, access_key=s3_server.access_key, secret_key=s3_server.secret_key)
    parts = ("api", "conductor")
    async with (
        services(tmp_path, store=store) as running,
        two_gateways(running, tmp_path, postgres_url, s3_url, s3_server, parts) as found,
    ):
        api, conductor = found["one"][1], found["two"][1]
        taken = (await api.post("/v1/slides", files=as_part(path))).json()
        job = (await api.post("/v1/jobs", json=classical(taken["id"]))).json()
        events = await api.get(f"/v1/jobs/{job['id']}/events", timeout=PATIENCE_S)
        assert '"succeeded"' in events.text, "whoever listens at the API hears of what the conductor does"
        assert holder(postgres_url, job["id"]) == "two"
        assert (await conductor.get("/v1/jobs")).status_code == 404
        assert "morula_runnable" in (await conductor.get("/metrics")).text


def test_the_parts_are_one_process_on_sqlite(tmp_path: Path) -> None:
    settings = GatewaySettings.model_validate({"database_url": f"sqlite:///{tmp_path}/morula.db"})
    with pytest.raises(SystemExit, match="PostgreSQL only"):
        serve(settings, "conductor")


async def carry_on_an_evaluation(
    running: Services, found: Mapping[str, tuple[Process, httpx.AsyncClient]], database_url: str, clustering_id: str
) -> None:
    """One of the two is killed while it has it made: the other one has it made."""
    evaluator = await start_waiting_evaluator(running)
    _, client = found["one"]
    content = b"row,class\n" + b"\n".join(f"{row},{row % 2}".encode() for row in range(40))
    truth = (await client.post("/v1/truths", files={"file": ("truth.csv", content)})).json()
    body = {"truth_id": truth["id"], "clustering_id": clustering_id, "draw_count": 100}
    asked = (await client.post("/v1/evaluations", json=body)).json()
    assert await asyncio.to_thread(evaluator.entered.wait, PATIENCE_S)
    held_by = holder(database_url, asked["id"])
    found[held_by][0].kill()
    evaluator.go.set()
    (other,) = set(found) - {held_by}
    ended = await until_ended(found[other][1], asked["id"])
    assert (ended["state"], ended["attempt"], ended["error"]) == ("succeeded", 1, None)
    assert holder(database_url, asked["id"]) == other
