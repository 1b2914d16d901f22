"""A unit of work that kills its service ends; a service that is only away is waited for."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from morula.common.testing import write_slide
from morula.gateway.ledger import shards
from tests.servers.gateway import gateway, services

DYING = Path(__file__).parents[1] / "servers" / "dying_segmenter.py"


async def test_a_piece_that_kills_its_service_three_times_fails_the_job(tmp_path: Path) -> None:
    path = tmp_path / "tiny.tiff"
    write_slide(path, 640, 512)

    async def supervise(address: str) -> None:
        while True:
            process = await asyncio.create_subprocess_exec(sys.executable, str(DYING), address)
            try:
                await process.wait()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()

    async with services(tmp_path, without=("segmenter",)) as running, gateway(running, tmp_path) as client:
        supervisor = asyncio.create_task(supervise(running.address("segmenter")))
        try:
            job = await client.run((await client.upload(path))["id"])
        finally:
            supervisor.cancel()
            await asyncio.gather(supervisor, return_exceptions=True)
        assert (job["state"], job["error"]["reason"]) == ("failed", "UNAVAILABLE")
        units = await client.ledger.read(shards.list_shards, job["id"])
        [unit] = [unit for unit in units if unit["stage"] == "segment"]
        assert (unit["state"], unit["attempt_count"]) == ("failed", 3)
