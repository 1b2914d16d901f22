"""Keys over TLS, from a process: the cookie is for HTTPS only, and no key is written anywhere."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from morula.gateway.api_keys import new_key
from tests.servers.processes import ServerProcess
from tests.servers.require import free_ports

FIRST = new_key()


@pytest.fixture
def https(certificates: Path, tmp_path: Path) -> Iterator[httpx.Client]:
    (port,) = free_ports(1)
    settings = {
        "MORULA_PORT": str(port),
        "MORULA_REQUIRE_KEYS": "true",
        "MORULA_FIRST_KEY": FIRST,
        "MORULA_HTTPS_CERT": str(certificates / "own.crt"),
        "MORULA_HTTPS_KEY": str(certificates / "own.key"),
        "MORULA_DATABASE_URL": f"sqlite:///{tmp_path}/morula.sqlite",
        "MORULA_STORE_URL": (tmp_path / "objects").as_uri(),
        "MORULA_SCRATCH": str(tmp_path),
        "MORULA_LOG_LEVEL": "DEBUG",
    }
    server = ServerProcess([sys.executable, "-m", "morula.gateway"], tmp_path / "log", env=os.environ | settings)
    trusted = ssl.create_default_context(cafile=str(certificates / "ca.crt"))
    with httpx.Client(base_url=f"https://localhost:{port}", verify=trusted, timeout=60) as client:
        try:
            server.wait_until(lambda: is_alive(client))
            yield client
        finally:
            server.stop(timeout_s=30)


def is_alive(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").is_success
    except httpx.TransportError:
        return False


def test_keys_travel_encrypted_and_are_written_nowhere(https: httpx.Client, tmp_path: Path) -> None:
    wrong, header = new_key(), {"authorization": f"Bearer {FIRST}"}
    made = https.post("/v1/keys", json={"name": "lims", "scopes": ["read"]}, headers=header).raise_for_status().json()
    assert "Secure" in https.post("/v1/session", json={"key": made["key"]}).raise_for_status().headers["set-cookie"]
    https.cookies.clear()
    answers = [
        https.get("/v1/slides", headers={"authorization": f"Bearer {wrong}"}),
        https.post("/v1/session", json={"key": wrong}),
        https.post("/v1/session", json={"key": [wrong], wrong: wrong}),
        https.get(f"/v1/jobs/{wrong}?key={wrong}", headers=header),
        https.get(f"/{wrong}", headers=header),
        https.post(f"/v1/jobs/{wrong}/cancel", json={wrong: wrong}, headers=header),
        https.get("/v1/keys", headers=header),
    ]
    assert [answer.status_code for answer in answers] == [401, 401, 422, 404, 404, 404, 200]
    told = "".join([*(answer.text for answer in answers), (tmp_path / "log").read_text()])
    assert "key refused" in told
    for key in (FIRST, wrong, made["key"]):
        assert key not in told
    files = b"".join(path.read_bytes() for path in tmp_path.glob("*.sqlite*"))
    assert made["prefix"].encode() in files
    assert made["key"].encode() not in files
