"""The client against a real server: a watch survives a restart, and a problem comes back as the error it was."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from morula.common.errors import NotFound, SlideUnreadable
from morula.demo.flow import last_state
from morula.onebox.client import Client
from morula.onebox.failures import Failure
from morula.onebox.machine import is_ready


class Gateway(BaseHTTPRequestHandler):
    """Answers as the gateway does; its first stream breaks off in the middle."""

    streams: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        if self.path.endswith("/events"):
            self._stream()
        elif self.path == "/v1/jobs/1":
            self._answer(200, {"id": "1", "state": "running"})
        elif self.path == "/v1/slides":
            self._answer(200, {"key": self.headers["authorization"]})
        elif self.path == "/readyz":
            self._answer(200, {"database": "ready", "services": {"tiler": True}})
        else:
            self._answer(404, {"reason": "NOT_FOUND", "detail": "There is no such job."})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        assert b'filename="a.svs"' in body
        self._answer(400, {"reason": "SLIDE_UNREADABLE", "detail": "It is a text."})

    def _stream(self) -> None:
        self.streams.append(self.path)
        state = "running" if len(self.streams) == 1 else "succeeded"
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.write(f'event: job\nid: 7\ndata: {{"id": "1", "state": "{state}"}}\n\n'.encode())

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/problem+json" if status >= 400 else "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def client() -> Iterator[Client]:
    Gateway.streams.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        with Client(f"http://127.0.0.1:{server.server_address[1]}") as opened:
            yield opened
        server.shutdown()
        thread.join()


def test_a_watch_goes_on_after_a_broken_stream(client: Client) -> None:
    assert last_state(client.watch("1"))["state"] == "succeeded"
    assert len(Gateway.streams) == 2


def test_a_problem_is_the_error_it_was(client: Client, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such job"):
        client.get("/v1/jobs/2")
    (tmp_path / "a.svs").write_text("text")
    with pytest.raises(SlideUnreadable, match="It is a text"):
        client.upload({"a.svs": tmp_path / "a.svs"})


def test_a_proxy_of_the_surroundings_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    client: Client = request.getfixturevalue("client")
    assert client.get("/v1/jobs/1")["state"] == "running"
    assert is_ready(client.url)


def test_the_key_of_the_surroundings_is_sent(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setenv("MORULA_KEY", "morula_key")
    client: Client = request.getfixturevalue("client")
    assert client.get("/v1/slides") == {"key": "Bearer morula_key"}


def test_a_gateway_that_stays_away_is_given_up() -> None:
    with Client("http://127.0.0.1:1", away_s=0.1) as client, pytest.raises(Failure, match="is gone"):
        last_state(client.watch("1"))
