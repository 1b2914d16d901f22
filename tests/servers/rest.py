"""What tests of a gateway's process ask it over REST."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from tests.servers.gateway import ENDED

PATIENCE_S = 300


async def until_ready(http: httpx.AsyncClient) -> None:
    """Until the gateway answers that it works, which it does some time after its start."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                if (await http.get("/readyz")).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)


async def until_ended(http: httpx.AsyncClient, job_id: str) -> dict[str, Any]:
    """The job as it ended."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            job: dict[str, Any] = (await http.get(f"/v1/jobs/{job_id}")).json()
            if job["state"] in ENDED:
                return job
            await asyncio.sleep(0.2)
