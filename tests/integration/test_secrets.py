"""A secret is never written: canaries in every setting and header, then all that two processes say is searched."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import httpx
import psycopg
import pytest

from morula.common.keys import slide_digest
from morula.common.settings import ServiceSettings, Settings
from morula.gateway.settings import GatewaySettings
from morula.v1.artifact_pb2 import ObjectRef
from morula.v1.tiler_pb2 import InspectSlideRequest
from morula.v1.tiler_pb2_grpc import TilerServiceStub
from tests.servers.collector import Collector, collecting
from tests.servers.postgres import postgres
from tests.servers.processes import ServerProcess
from tests.servers.require import free_ports

CANARY = "canary"
HEADERS = {
    "authorization": "Bearer canary-of-authorization",
    "cookie": "session=canary-of-cookie",
    "x-api-key": "canary-of-x",
    "user-agent": "canary-of-agent",
    "traceparent": "canary-of-traceparent",
}
SECRETS = {
    "MORULA_TOKEN": 'canary of "token"',
    "MORULA_S3_ACCESS_KEY": "canary-access-key",
    "MORULA_S3_SECRET_KEY": "canary/secret+key",
    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=canary-of-otlp,x-tenant=canary%20tenant",
    "PGPASSWORD": "canary-of-libpq",
    "AWS_SECRET_ACCESS_KEY": "canary-of-aws",
    "MORULA_LOG_LEVEL": "DEBUG",
}
TELLING = re.compile("url|key|token|secret|password")


@pytest.mark.parametrize("kind", [ServiceSettings, GatewaySettings])
def test_every_setting_that_may_hold_a_secret_is_one(kind: type[Settings]) -> None:
    for name, setting in kind.model_fields.items():
        if TELLING.search(name) and setting.annotation is not bool and "Path" not in str(setting.annotation):
            assert "SecretStr" in str(setting.annotation), name


@dataclass
class Said:
    """All that anybody outside can see."""

    root: Path
    collector: Collector
    answers: list[bytes] = field(default_factory=list)

    def logs(self) -> bytes:
        return b"".join(path.read_bytes() for path in self.root.glob("*.log"))

    def keep(self, response: httpx.Response) -> httpx.Response:
        self.answers.append(repr(response.headers).encode() + response.content)
        return response


@pytest.fixture
def said(tmp_path: Path) -> Iterator[Said]:
    return Said(tmp_path, Collector())


@contextmanager
def process(module: str, root: Path, **settings: str) -> Iterator[ServerProcess]:
    surroundings = os.environ | SECRETS | settings
    running = ServerProcess([sys.executable, "-m", module], root / f"{module}.log", env=surroundings)
    try:
        yield running
    finally:
        running.stop(timeout_s=30)


def is_up(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.TransportError:
        return False


def test_no_secret_is_in_any_log_trace_metric_or_answer(said: Said) -> None:
    gateway_port, tiler_port, metrics_port, closed_port = free_ports(4)
    objects = said.root / "objects"
    with ExitStack() as stack:
        otlp = stack.enter_context(collecting(said.collector))
        server = stack.enter_context(postgres())
        database = server.url.replace("morula@", "morula:canary-of-database@")
        tiler = stack.enter_context(
            process(
                "morula.tiler",
                said.root,
                MORULA_ADDRESS=f"127.0.0.1:{tiler_port}",
                MORULA_METRICS_PORT=str(metrics_port),
                MORULA_STORE_URL=objects.as_uri(),
                OTEL_EXPORTER_OTLP_ENDPOINT=otlp,
            )
        )
        gateway = stack.enter_context(
            process(
                "morula.gateway",
                said.root,
                MORULA_PORT=str(gateway_port),
                MORULA_DATABASE_URL=database.replace("postgresql:", "postgresql+psycopg:"),
                MORULA_ENGINE_URL=database.replace("postgresql:", "postgresql+psycopg:"),
                MORULA_STORE_URL=f"s3://bucket?endpoint=http://127.0.0.1:{closed_port}&secret=canary-of-query",
                MORULA_TILER_ADDRESS=f"127.0.0.1:{tiler_port}",
                OTEL_EXPORTER_OTLP_ENDPOINT=otlp,
                MORULA_SCRATCH=str(said.root),
            )
        )
        url = f"http://127.0.0.1:{gateway_port}"
        tiler.wait_until(lambda: is_up(f"http://127.0.0.1:{metrics_port}/metrics"))
        gateway.wait_until(lambda: is_up(f"{url}/healthz"))
        call_the_tiler(tiler_port, objects)
        with httpx.Client(base_url=url, headers=HEADERS, timeout=60) as http:
            ask(http, said)
            with psycopg.connect(database, autocommit=True) as connection:
                connection.execute("ALTER TABLE label_set RENAME TO elsewhere")
            broken = said.keep(http.get("/v1/label-sets?q=canary-of-query"))
            assert broken.status_code == 500
            said.keep(http.get("/metrics"))
            server.stop()
            away = said.keep(http.get("/readyz"))
            assert (away.status_code, away.json()["database"]) == (503, "away")
            with suppress(httpx.TimeoutException):
                said.keep(http.get("/v1/jobs", timeout=5))
            server.start()
            said.keep(httpx.get(f"http://127.0.0.1:{metrics_port}/metrics"))
    told = {span.service for span in said.collector.spans()}
    assert told == {"morula-tiler", "morula-gateway"}, "they told nothing of their calls"
    logs = said.logs()
    assert b'"exc_type": "ProgrammingError"' in logs
    assert b'"event": "call failed"' in logs, "the tiler did not fail inside"
    for name, text in {"logs": logs, "traces": said.collector.received, "answers": b"".join(said.answers)}.items():
        at = text.find(CANARY.encode())
        assert at < 0, f"in the {name}: {text[max(0, at - 200) : at + 60]!r}"


def ask(http: httpx.Client, said: Said) -> None:
    """Requests that go well, and that do not."""
    for path in ("/v1/slides", "/v1/jobs", "/v1/clusterings", "/readyz", "/version", "/nowhere", "/v1/jobs/none"):
        said.keep(http.get(path, params={"token": "canary-of-query"}))
    refused = said.keep(http.post("/v1/slides", files={"file": ("a.svs", b"x" * 4096)}))
    assert refused.status_code == 503, "the store is away"
    said.keep(http.post("/v1/jobs", content=b"{", headers={"content-type": "application/json"}))
    said.keep(http.get("/v1/slides", headers={"host": "canary-of-host"}))
    said.keep(http.get("/v1/slides", headers={"origin": "http://canary-of-origin"}))


def call_the_tiler(port: int, objects: Path) -> None:
    """One call without the token, and one that fails inside: the store cannot keep its digests."""
    key = "default/a/slide/a.svs"
    (objects / key).parent.mkdir(parents=True)
    (objects / key).write_bytes(b"x")
    (objects / ".morula" / "sha256").rmdir()
    (objects / ".morula" / "sha256").write_bytes(b"")
    request = InspectSlideRequest()
    request.slide.digest, request.slide.entry = slide_digest([("a.svs", "0" * 64, 1)], "a.svs"), "a.svs"
    request.slide.files.add(name="a.svs", object=ObjectRef(key=key, sha256="0" * 64, size_bytes=1))
    own = [("authorization", f"Bearer {SECRETS['MORULA_TOKEN']}"), ("x-secret", "canary-of-metadata")]
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        for headers in ([*HEADERS.items(), ("x-job-id", "job")], own):
            with pytest.raises(grpc.RpcError) as failed:
                TilerServiceStub(channel).InspectSlide(request, metadata=headers, timeout=60)
            assert CANARY not in str(failed.value.details())
