"""A worker's plain port, as kubelets and Prometheus ask it."""

from __future__ import annotations

import socket
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, suppress

import pytest

from morula.common import probes
from morula.common.probes import serve_probes


def test_numbers_and_probes_are_served_on_loopback() -> None:
    serving = False
    server, thread = serve_probes(0, "127.0.0.1", lambda: serving)
    host, port = server.server_address[:2]

    def ask(path: str) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    try:
        assert host == "127.0.0.1"
        assert b"python_info" in ask("/metrics")[1]
        assert (ask("/healthz")[0], ask("/readyz")[0], ask("/")[0]) == (200, 503, 404)
        serving = True
        assert ask("/readyz")[0] == 200
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_silent_and_slow_connections_are_few_and_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(probes, "PATIENCE_S", 0.5)
    monkeypatch.setattr(probes, "CONNECTION_LIMIT", 2)
    server, thread = serve_probes(0, "127.0.0.1", lambda: True)
    port = server.server_address[1]
    with ExitStack() as clients:
        silent, slow, late = (
            clients.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60)) for _ in range(3)
        )
        slow.sendall(b"GET /healthz HTTP/1.1\r\n")
        began = time.monotonic()
        with suppress(ConnectionError):
            assert late.recv(1) == b""
        assert time.monotonic() - began < 0.5, "one too many is closed at once"
        with suppress(ConnectionError):
            assert (silent.recv(1), slow.recv(1)) == (b"", b"")
        server.shutdown()
        server.server_close()
        thread.join()
    assert "Traceback" not in capsys.readouterr().err
