"""kill -9 mid-job changes nothing: the same result, and no finished unit of work is done again."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, nullcontext
from pathlib import Path

import pytest

from tests.chaos.grounds import FolderGround
from tests.chaos.rounds import Undisturbed, play_undisturbed
from tests.chaos.slide import write_tissue
from tests.chaos.worlds import World, open_world

TILES_ALONG = 4
"""A shard is one tile: a kill finds some done and some not."""
MOST_S = 300
Unit = tuple[str, int]


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tissue") / "tissue.tiff"
    write_tissue(path, TILES_ALONG)
    return path


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> FolderGround:
    return FolderGround(tmp_path_factory.mktemp("disk"))


@pytest.fixture(scope="module")
def world(ground: FolderGround, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world(lambda _: nullcontext(ground), tmp_path_factory.mktemp("world")) as opened:
        yield opened


@pytest.fixture(scope="module")
def undisturbed(world: World, slide: Path) -> Undisturbed:
    return play_undisturbed(world, slide)


def finished_units(ground: FolderGround) -> dict[Unit, tuple[int, int]]:
    """Attempts and writes of every unit that is done."""
    query = "SELECT stage, number, attempt_count, write_count FROM shard WHERE state = 'done'"
    with closing(sqlite3.connect(f"{ground.database.as_uri()}?mode=ro", uri=True, timeout=60)) as database:
        return {(stage, number): (attempts, writes) for stage, number, attempts, writes in database.execute(query)}


def segmented_count(ground: FolderGround) -> int:
    return sum(stage == "segment" for stage, _ in finished_units(ground))


def wait_until_begun(ground: FolderGround) -> None:
    """Until some shards are segmented. The ledger is asked, for an event may tell of several units at once."""
    deadline = time.monotonic() + MOST_S
    while segmented_count(ground) < 2:
        assert time.monotonic() < deadline, f"fewer than two shards were segmented in {MOST_S} s"
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["gateway-0", "segmenter"])
def test_kill_9_mid_job(victim: str, undisturbed: Undisturbed, world: World, ground: FolderGround, slide: Path) -> None:
    world.messages.clear()
    with world.round() as now:
        job_id = now.door.submit(now.door.upload(slide))
        wait_until_begun(ground)
        os.kill(now.pid(victim), signal.SIGKILL)
        before = finished_units(ground)
        job = now.door.ended(job_id)
        assert 0 < sum(stage == "segment" for stage, _ in before) < TILES_ALONG**2
        assert [line.split(" ", 1)[0] for line in world.messages] == [victim]
        assert job["state"] == "succeeded", job["error"]
        assert job["result_digest"] == undisturbed.result_digest
        after = finished_units(ground)
    assert {unit: after[unit] for unit in before} == before
    assert all(writes == 1 for _, writes in after.values())
