"""What a client may do to a connection: hosts, slow headers and bodies, bodies that nobody wants, going away."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.testing import capture_logs

from morula.common.errors import TooLarge
from morula.gateway import bodies, connection
from morula.gateway.access import Access
from morula.gateway.connection import Config, Connection
from morula.gateway.guard import Guard
from tests.servers.require import free_ports

HOST = b"Host: 127.0.0.1\r\n"
LIMIT = 8 << 20


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Takes the body in, unless it is to refuse it."""
    if scope["path"] == "/refuse":
        raise TooLarge("no room")
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def until(true: Callable[[], bool]) -> None:
    for _ in range(6000):
        if true():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it never came to be")


async def pour(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x" * (1 << 20))
        await writer.drain()


@asynccontextmanager
async def serving(served: ASGIApp = app, **settings: Any) -> AsyncIterator[int]:
    (port,) = free_ports(1)
    guarded = Access(Guard(served, frozenset({"127.0.0.1", "localhost", "[::1]"}), LIMIT))
    settings |= {"http": Connection, "lifespan": "off", "log_config": None, "access_log": False}
    server = uvicorn.Server(Config(guarded, port=port, **settings))
    running = asyncio.create_task(server._serve())
    await until(lambda: server.started)
    try:
        yield port
    finally:
        server.should_exit = True
        await running


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def exchange(port: int, sent: bytes) -> tuple[int, dict[str, object]]:
    """Status and problem of what comes back until the server closes."""
    async with connected(port) as (reader, writer):
        writer.write(sent)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
        status, lines = int(head.split()[1]), head.lower().splitlines()
        length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length"))
        body = await asyncio.wait_for(reader.readexactly(length), 60)
        closed = b"connection: close" in lines
        if closed:
            assert await asyncio.wait_for(reader.read(), 60) == b""
    return status, (json.loads(body) if body != b"ok" else {}) | {"closed": closed}


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (b"Host: 127.0.0.1:80@evil.com", 403),
        (b"Host: 127.0.0.1:80:80", 403),
        (b"Host: 127.0.0.1:http", 403),
        (b"Host: 127.0.0.1:", 403),
        (b"Host: localhost, evil.com", 403),
        (b"Host: [::1]evil.com", 403),
        (b"Host: ::1", 403),
        (b"Host: localhost.evil.com", 403),
        (b"Host: 127.0.0.1/evil", 403),
        (b"Host: LOCALHOST:8610", 200),
        (b"Host: [::1]:8610", 200),
        (b"Host: 127.0.0.1", 200),
    ],
)
async def test_a_host_is_a_name_and_a_port_and_nothing_else(header: bytes, status: int) -> None:
    async with serving() as port:
        assert (await exchange(port, b"GET / HTTP/1.1\r\n" + header + b"\r\n\r\n"))[0] == status


async def test_what_is_no_http_is_answered_with_a_problem() -> None:
    async with serving() as port:
        for twice in (b"GET / HTTP/1.1\r\n" + HOST + b"Host: evil.com\r\n\r\n", b"\x16\x03\x01\r\n\r\n"):
            status, problem = await exchange(port, twice)
            assert (status, problem["reason"], problem["closed"]) == (400, "INVALID_ARGUMENT", True)


async def test_a_slow_header_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEADER_S", 0.3)
    async with serving() as port:
        status, problem = await exchange(port, b"GET / HTTP/1.1\r\n" + HOST + b"X-Slow: ")
        assert (status, problem["reason"]) == (408, "TOO_SLOW")


async def test_a_slow_body_is_refused_and_a_steady_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "PATIENCE_S", 0.5)
    monkeypatch.setattr(bodies, "PACE_BYTES", 1000)
    head = b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5000\r\n\r\n"
    async with serving() as port, connected(port) as (reader, writer):
        writer.write(head)
        answer = asyncio.create_task(reader.readuntil(b"}"))  # Behind it the connection may break off.
        while not answer.done():
            writer.write(b"x")
            await asyncio.sleep(0.05)
        assert (await answer).startswith(b"HTTP/1.1 408")
        assert await exchange(port, head + b"x" * 5000) == (200, {"closed": False})


async def test_a_refusal_reaches_who_is_still_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    size = 6 << 20
    head = f"POST /refuse HTTP/1.1\r\n{HOST.decode()}Content-Length: {size}\r\n\r\n".encode()
    async with serving() as port:
        async with connected(port) as (reader, writer):
            writer.write(head)
            answer = await asyncio.wait_for(reader.readuntil(b"}"), 60)
            assert answer.startswith(b"HTTP/1.1 413"), "the answer is there before the body"
        assert (await exchange(port, head + b"x" * size))[0] == 413
        monkeypatch.setattr(bodies, "DRAIN_BYTES", 1 << 20)
        async with connected(port) as (reader, writer):
            writer.write(head)
            with pytest.raises(ConnectionError):  # nobody reads for ever what nobody wants
                await pour(writer)


async def test_a_client_that_goes_away_is_one_short_line() -> None:
    with capture_logs() as lines:
        async with serving() as port:
            async with connected(port) as (_, writer):
                writer.write(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5000\r\n\r\nx")
                await writer.drain()
                await asyncio.sleep(0.2)
            await until(lambda: bool(lines))
    (gone,) = lines
    assert (gone["event"], gone["path"], gone["method"], gone["status"]) == ("request", "/", "POST", 499)


async def test_connections_are_counted_and_limited_in_time_before_their_handshake(
    certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CONNECTION_LIMIT", 3)
    monkeypatch.setattr(connection, "HANDSHAKE_S", 1.0)
    trusted = ssl.create_default_context(cafile=str(certificates / "ca.crt"))
    files: dict[str, Any] = {"ssl_certfile": certificates / "own.crt", "ssl_keyfile": certificates / "own.key"}
    async with serving(**files) as port, AsyncExitStack() as silent:
        readers = [(await silent.enter_async_context(connected(port)))[0] for _ in range(4)]
        with suppress(ConnectionError):
            assert await asyncio.wait_for(readers[3].read(), 0.5) == b"", "one too many is closed at once"
        for reader in readers[:3]:
            with suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), 60) == b""
        async with httpx.AsyncClient(base_url=f"https://localhost:{port}", verify=trusted) as client:
            assert (await client.post("/", content=b"x" * (1 << 20))).text == "ok"


@pytest.mark.parametrize("body", [b"Content-Length: 0\r\n\r\n", b"Content-Length: 5000\r\n\r\nx"])
async def test_who_is_still_waiting_when_the_server_stops_is_told_so(
    body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    arrived = asyncio.Event()

    async def away(_scope: Scope, _receive: Receive, _send: Send) -> None:
        arrived.set()
        await asyncio.Event().wait()

    async with serving(away, timeout_graceful_shutdown=0.2) as port:
        asking = asyncio.create_task(exchange(port, b"POST / HTTP/1.1\r\n" + HOST + body))
        await asyncio.wait_for(arrived.wait(), 60)
    status, problem = await asking
    assert (status, problem["reason"]) == (503, "UNAVAILABLE")
    assert "Traceback" not in caplog.text
