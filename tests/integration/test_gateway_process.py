"""The gateway as a process: it begins without services, and ends at once though someone listens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.servers.require import free_ports

PATIENCE_S = 300


@pytest.fixture
def port() -> int:
    (port,) = free_ports(1)
    return port


@pytest.fixture
def process(port: int, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    settings = {
        "MORULA_PORT": str(port),
        "MORULA_DATABASE_URL": f"sqlite:///{tmp_path}/morula.sqlite",
        "MORULA_STORE_URL": (tmp_path / "objects").as_uri(),
        "PATH": "/usr/bin:/bin",
    }
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen([sys.executable, "-m", "morula.gateway"], env=settings, stderr=log)
        yield running
        if running.poll() is None:
            running.kill()
            running.wait()


def wait_until_alive(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE_S
    with httpx.Client(transport=httpx.HTTPTransport(retries=20)) as client:
        while process.poll() is None and time.monotonic() < until:
            try:
                if client.get(f"{url}/healthz").is_success:
                    return
            except httpx.TransportError:
                continue
    pytest.fail("the gateway did not start")


def test_it_stops_at_once_though_someone_listens(port: int, process: subprocess.Popen[bytes], tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{port}"
    wait_until_alive(url, process)
    ready = httpx.get(f"{url}/readyz", timeout=PATIENCE_S)
    assert (ready.status_code, set(ready.json()["services"].values())) == (200, {False})
    with httpx.stream("GET", f"{url}/v1/events", timeout=PATIENCE_S) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        process.send_signal(signal.SIGTERM)
        assert list(stream.iter_lines()) == []
    assert process.wait(PATIENCE_S) in (0, -signal.SIGTERM)
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line for line in lines if "exception" in line] == []


def test_a_sweep_of_what_nothing_names(tmp_path: Path) -> None:
    lost = tmp_path / "objects" / "default" / "s" / "cells" / "lost.parquet"
    lost.parent.mkdir(parents=True)
    lost.write_bytes(b"cells")
    os.utime(lost, (0, 0))
    settings = {
        "MORULA_DATABASE_URL": f"sqlite:///{tmp_path}/morula.sqlite",
        "MORULA_STORE_URL": (tmp_path / "objects").as_uri(),
        "PATH": "/usr/bin:/bin",
    }
    words = [sys.executable, "-m", "morula.gateway", "sweep", "--delete"]
    swept = subprocess.run(words, env=settings, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    assert swept.stdout == "1 objects that nothing names, 5 bytes; 1 deleted\n"
    assert not lost.exists()
