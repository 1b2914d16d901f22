"""What contract tests share."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
import uvicorn

from morula.common.testing import write_slide
from morula.gateway.connection import Config, Connection
from tests.contract.rest_world import World
from tests.servers.gateway import gateway, services
from tests.servers.require import free_ports


@pytest.fixture
def socket_path() -> Iterator[str]:
    """Short, because a socket's path has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="mo-", dir="/tmp") as folder:
        yield f"{folder}/s"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    root = tmp_path_factory.mktemp("rest")
    scans = root / "scans"
    scans.mkdir()
    write_slide(scans / "tiny.tiff", 1100, 800)
    write_slide(scans / "other.tiff", 512, 512, seed=9)
    folders = {"scans": scans}
    async with services(root) as running, gateway(running, root, folders=folders, max_upload_bytes=64 << 20) as client:
        slide = await client.upload(scans / "tiny.tiff", name="Tiny", stain="H&E")
        job = await client.run(slide["id"])
        # Asked for again: it has a labelling now.
        yield World(client, running, client.ok(await client.http.get(f"/v1/slides/{slide['id']}")), job)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(world: World) -> AsyncIterator[str]:
    """The same application on a real connection."""
    (port,) = free_ports(1)
    transport: Any = world.http._transport
    config = Config(transport.app, port=port, http=Connection, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server._serve())
    while not server.started:  # noqa: ASYNC110 it has no event for it
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await running
