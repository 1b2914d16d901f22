"""The life of a server: warm before it serves, healthy as its device, and a stop that loses no call."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from morula.common import errors
from morula.common.compute import Checkpoint, Slot
from morula.common.rpc import Server, channel, serve
from morula.common.settings import ServiceSettings
from morula.common.testing import running
from morula.v1 import tiler_pb2, tiler_pb2_grpc
from tests.contract.rpc_services import (
    NOT_SERVING,
    SERVING,
    TIMEOUT_S,
    Tiler,
    failure_of,
    health,
    render,
    render_request,
    serving,
)


async def test_a_server_is_not_serving_until_it_is_warm(socket_path: str) -> None:
    warmed = threading.Event()
    settings = ServiceSettings(address=f"unix:{socket_path}")

    def warm() -> None:
        assert warmed.wait(TIMEOUT_S)

    server = Server(settings, [Tiler()], warm=warm)
    starting = asyncio.create_task(server.start())
    try:
        async with channel(settings.address) as client:
            await client.channel_ready()
            assert await health(client) == NOT_SERVING
            assert await health(client, "morula.v1.TilerService") == NOT_SERVING
            assert not server.is_serving
            warmed.set()
            await starting
            assert await health(client) == SERVING
            assert await health(client, "morula.v1.TilerService") == SERVING
            assert server.is_serving
    finally:
        await server.stop(0)
    assert not server.is_serving


async def test_a_server_whose_port_of_metrics_is_taken_takes_calls(
    socket_path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        settings = ServiceSettings(address=f"unix:{socket_path}", metrics_port=other.getsockname()[1], drain_s=0)
        serving = asyncio.create_task(serve(settings, [Tiler()]))
        async with asyncio.timeout(TIMEOUT_S), channel(settings.address) as client:
            await client.channel_ready()
            assert (await render(client)).jpeg == b"jpeg"
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
    assert "no metrics" in capsys.readouterr().out


async def test_health_follows_the_device(monkeypatch: pytest.MonkeyPatch, socket_path: str) -> None:
    monkeypatch.setattr("morula.common.rpc.HEALTH_INTERVAL_S", 0.01)
    states: list[Any] = [True]

    def check() -> bool:
        if isinstance(states[0], Exception):
            raise states[0]
        return bool(states[0])

    settings = ServiceSettings(address=f"unix:{socket_path}")
    async with serving(settings, Tiler(), device_check=check), channel(settings.address) as client:
        watch = health_pb2_grpc.HealthStub(client).Watch(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        assert (await watch.read()).status == SERVING
        for state, expected in ((False, NOT_SERVING), (True, SERVING), (RuntimeError("driver"), NOT_SERVING)):
            states[0] = state
            assert (await watch.read()).status == expected


class Endless(Tiler):
    """Computes in a slot for one call until nobody waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.slot = Slot("tiler", admit=1)
        self.began, self.stopped = threading.Event(), threading.Event()

    async def RenderRegion(self, request: Any, context: Any) -> tiler_pb2.RenderRegionResponse:  # noqa: N802 - the generated name
        await self.slot.run(self.work)
        return tiler_pb2.RenderRegionResponse()

    def work(self, checkpoint: Checkpoint) -> None:
        self.began.set()
        try:
            while not self.stopped.wait(0.005):
                checkpoint()
        except errors.Cancelled:
            self.stopped.set()


async def test_health_answers_while_the_slot_is_busy() -> None:
    service = Endless()
    async with running(service) as client:
        first = asyncio.create_task(render(client))
        assert await asyncio.to_thread(service.began.wait, TIMEOUT_S)
        assert await health(client) == SERVING
        busy = await failure_of(render(client))
        assert isinstance(busy, errors.Busy)
        assert busy.retry_after_s == 1.0
        assert not service.stopped.is_set()
        service.stopped.set()
        await first
    service.slot.close()


async def test_a_deadline_stops_the_work() -> None:
    service, deadline_s = Endless(), 0.25
    async with running(service) as client:
        stub = tiler_pb2_grpc.TilerServiceStub(client)
        # A call whose deadline passes before it is computed proves nothing: the next one has more time.
        while not service.began.is_set():
            deadline_s *= 2
            late = await failure_of(stub.RenderRegion(render_request(), timeout=deadline_s))
            assert type(late) is errors.DeadlineExceeded
        assert await asyncio.to_thread(service.stopped.wait, TIMEOUT_S)
    service.slot.close()


_PROCESS = """
import asyncio, sys
sys.path[:0] = {path!r}
from tests.contract.rpc_services import Tiler, tiler_pb2
from morula.common.rpc import serve
from morula.common.settings import ServiceSettings

class Held(Tiler):
    async def RenderRegion(self, request, context):  # noqa: N802 - the generated name
        print("began", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        return tiler_pb2.RenderRegionResponse(jpeg=b"complete")

def warm():
    print("warming", flush=True)
    sys.stdin.readline()

asyncio.run(serve(ServiceSettings(address={address!r}, drain_s=0.2, grace_s=30), [Held()], warm=warm))
print("ended", flush=True)
"""


@asynccontextmanager
async def server_process(address: str) -> AsyncIterator[asyncio.subprocess.Process]:
    script = _PROCESS.format(path=sys.path, address=address)
    pipe = asyncio.subprocess.PIPE
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MORULA_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdin=pipe, stdout=pipe, env=environment
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_sigterm_in_the_middle_of_a_call_loses_nothing(socket_path: str) -> None:
    address = f"unix:{socket_path}"
    async with server_process(address) as process, channel(address) as client:
        assert process.stdin
        assert process.stdout
        assert (await process.stdout.readline()) == b"warming\n"
        process.stdin.write(b"go\n")
        watch = health_pb2_grpc.HealthStub(client).Watch(health_pb2.HealthCheckRequest(), wait_for_ready=True)
        while (await watch.read()).status != SERVING:
            pass
        call = asyncio.create_task(render(client))
        while (line := await process.stdout.readline()) != b"began\n":
            assert line  # log lines come in between
        process.send_signal(signal.SIGTERM)
        assert (await watch.read()).status == NOT_SERVING
        assert await watch.read() is grpc.aio.EOF  # type: ignore[attr-defined] # drained: no new calls
        refused = await failure_of(tiler_pb2_grpc.TilerServiceStub(client).RenderRegion(render_request(), timeout=1))
        assert isinstance(refused, errors.Unavailable | errors.DeadlineExceeded)
        assert not call.done()
        process.stdin.write(b"go\n")
        assert (await call).jpeg == b"complete"
        assert await asyncio.wait_for(process.wait(), TIMEOUT_S) == 0
        assert (await process.stdout.read()).endswith(b"ended\n")


async def test_sigterm_while_warming_ends_the_server(socket_path: str) -> None:
    async with server_process(f"unix:{socket_path}") as process:
        assert process.stdin
        assert process.stdout
        assert (await process.stdout.readline()) == b"warming\n"
        process.send_signal(signal.SIGTERM)
        while b"draining" not in (line := await process.stdout.readline()):
            assert line
        process.stdin.close()  # what it loads cannot be interrupted; it goes as soon as that returns
        assert await asyncio.wait_for(process.wait(), TIMEOUT_S) == 0
        assert b"serving" not in await process.stdout.read()
