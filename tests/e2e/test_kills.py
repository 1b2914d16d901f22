"""kill -9 mid-job changes nothing: the same digest, and no finished unit of work is done again."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from morula.demo.flow import last_state
from morula.onebox.client import Client, Json
from morula.onebox.folder import DataFolder
from morula.onebox.machine import LocalMachine, any_port, open_machine
from tests.e2e.conftest import Paint, write_mosaic

# Several shards, so that a kill finds some done and some not.
PIECE_PX, TIMES, SEED = 1024, 5, 770_010
MOST_S = 300
Unit = tuple[str, int]


@contextmanager
def running(folder: DataFolder) -> Iterator[tuple[LocalMachine, Client, list[str]]]:
    messages: list[str] = []
    with open_machine(folder, "demo", port=any_port(), notify=messages.append) as machine, machine.client() as client:
        yield machine, client, messages


def submit(client: Client, slide: Path) -> Json:
    stored = client.upload({slide.name: slide})
    return client.post("/v1/jobs", {"slide_id": stored["id"]})


def finished_units(folder: DataFolder) -> dict[Unit, tuple[int, int]]:
    """Attempts and writes of every unit that is done."""
    query = "SELECT stage, number, attempt_count, write_count FROM shard WHERE state = 'done'"
    with closing(sqlite3.connect(f"{folder.database.as_uri()}?mode=ro", uri=True, timeout=60)) as database:
        return {(stage, number): (attempts, writes) for stage, number, attempts, writes in database.execute(query)}


def wait_until_begun(folder: DataFolder, stage_name: str) -> None:
    """Until the first unit is done. The ledger is asked, for a job's events may tell of several units at once."""
    deadline = time.monotonic() + MOST_S
    while not any(stage == stage_name for stage, _ in finished_units(folder)):
        assert time.monotonic() < deadline, f"no unit of {stage_name} was done in {MOST_S} s"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def slide(paint: Paint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    piece = paint(PIECE_PX, PIECE_PX, SEED).slide
    return write_mosaic(tmp_path_factory.mktemp("mosaic") / "mosaic.tiff", piece, TIMES)


@pytest.fixture(scope="module")
def undisturbed(slide: Path, tmp_path_factory: pytest.TempPathFactory) -> Json:
    with running(DataFolder(tmp_path_factory.mktemp("undisturbed"))) as (_, client, messages):
        job = last_state(client.watch(submit(client, slide)["id"]))
    assert job["state"] == "succeeded", job["error"]
    assert not messages
    return job


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["gateway", "segmenter"])
def test_kill_9_mid_job(victim: str, undisturbed: Json, slide: Path, tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    with running(folder) as (machine, client, messages):
        job_id = submit(client, slide)["id"]
        wait_until_begun(folder, "segment")
        os.kill(machine.supervisor.pid(victim), signal.SIGKILL)
        before = finished_units(folder)
        job = last_state(client.watch(job_id))
    segment = next(stage for stage in job["stages"] if stage["stage"] == "segment")
    assert 0 < sum(stage == "segment" for stage, _ in before) < segment["total_count"]
    assert [line.split(" ", 1)[0] for line in messages] == [victim]
    assert job["state"] == "succeeded", job["error"]
    assert job["result_digest"] == undisturbed["result_digest"]
    after = finished_units(folder)
    assert {unit: after[unit] for unit in before} == before
    assert all(writes == 1 for _, writes in after.values())
