"""What a job leaves in traces, logs and numbers, though its conductor is killed in the middle of it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from morula.common import tracing
from morula.common.testing import write_slide
from tests.servers.collector import Collector, Told, collecting
from tests.servers.gateway import Services, as_part, services
from tests.servers.jobs import classical
from tests.servers.processes import ServerProcess
from tests.servers.require import free_ports
from tests.servers.rest import until_ended, until_ready
from tests.servers.waiting import start_waiting

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
PATIENCE_S = 300


@contextmanager
def exporting(otlp: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The services run in this process."""
    monkeypatch.setattr(tracing, "_provider", tracing._provider)
    monkeypatch.setattr(tracing, "_processor", None)
    processor = BatchSpanProcessor(OTLPSpanExporter(otlp))
    tracing.use("services", processor)
    try:
        yield
    finally:
        processor.shutdown()


@asynccontextmanager
async def gateway_process(
    running: Services, root: Path, otlp: str
) -> AsyncIterator[tuple[ServerProcess, httpx.AsyncClient]]:
    (port,) = free_ports(1)
    names = ("tiler", "segmenter", "embedder", "clusterer", "labeller", "evaluator")
    settings = {
        "MORULA_PORT": str(port),
        "MORULA_DATABASE_URL": f"sqlite:///{root}/morula.sqlite",
        "MORULA_STORE_URL": (root / "objects").as_uri(),
        "MORULA_SCRATCH": str(root),
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp,
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        **{f"MORULA_{name.upper()}_ADDRESS": running.address(name) for name in names},
    }
    command = [sys.executable, "-m", "morula.gateway"]
    process = ServerProcess(command, root / "gateway.log", env=os.environ | settings)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            yield process, http
    finally:
        await asyncio.to_thread(process.stop, timeout_s=30)


async def until_told(collector: Collector, name: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if name in {span.name for span in collector.spans()}:
                return
            await asyncio.sleep(0.05)


async def test_a_job_is_one_tree_though_its_conductor_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_slide(tmp_path / "tiny.tiff", 640, 512)
    collector = Collector()
    with collecting(collector) as otlp, exporting(otlp, monkeypatch):
        async with services(tmp_path, without=("segmenter",)) as running:
            waiting = await start_waiting(running)
            async with gateway_process(running, tmp_path, otlp) as (process, http):
                await until_ready(http)
                slide = (await http.post("/v1/slides?token=word", files=as_part(tmp_path / "tiny.tiff"))).json()
                headers = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
                asked = await http.post("/v1/jobs", json=classical(slide["id"]), headers=headers)
                job_id = asked.json()["id"]
                await asyncio.wait_for(waiting.entered.wait(), PATIENCE_S)
                await until_told(collector, "POST /v1/jobs")
                process.stop(signal.SIGKILL)
                waiting.go.set()
                process.start()
                await until_ready(http)
                job = await until_ended(http, job_id)
                numbers = (await http.get("/metrics")).text
        tracing.flush()
    assert (job["state"], job["verdict"]) == ("succeeded", "cells")
    check_tree([span for span in collector.spans() if span.trace_id == TRACE])
    check_log([json.loads(line) for line in (tmp_path / "gateway.log").read_text().splitlines()], job)
    check_numbers(numbers)


def check_tree(spans: list[Told]) -> None:
    by_id = {span.span_id: span for span in spans}
    assert len(by_id) == len(spans), "a span was told of twice"
    assert [span.name for span in spans if span.parent_id == CALLER] == ["POST /v1/jobs"]
    lost = [span for span in spans if span.parent_id not in (*by_id, CALLER)]
    assert lost == [], "these hang in the air"
    above = {span.name: by_id[span.parent_id].name for span in spans if span.parent_id != CALLER}
    assert above["job"] == "POST /v1/jobs"
    for stage, service, method in (
        ("plan", "Tiler", "PlanSlide"),
        ("cut", "Tiler", "CutShard"),
        ("segment", "Segmenter", "SegmentShard"),
        ("embed", "Embedder", "EmbedCells"),
        ("settle", "Clusterer", "SettleCells"),
        ("cluster", "Clusterer", "ClusterCells"),
        ("tables", "Labeller", "CutTree"),
    ):
        call = f"morula.v1.{service}Service/{method}"
        assert (above[call], above[f"{stage} 0"], above[stage]) == (f"{stage} 0", stage, "job")
    counts = Counter(span.name for span in spans)
    assert counts["job"] == 1
    assert counts["morula.v1.SegmenterService/SegmentShard"] == 2, "the killed conductor's call is there, too"
    assert {span.service for span in spans} == {"morula-gateway", "morula-services"}
    assert not any(span.failed for span in spans if span.service == "morula-gateway")


def check_log(lines: list[dict[str, Any]], job: dict[str, Any]) -> None:
    (ended,) = [line for line in lines if line["event"] == "job ended"]
    told = (ended["job_id"], ended["state"], ended["verdict"], ended["cell_count"], ended["result_digest"])
    assert told == (job["id"], "succeeded", "cells", job["cell_count"], job["result_digest"])
    assert ended["duration_s"] > 0
    taken_up = [line for line in lines if line["event"] == "job taken up"]
    assert [(line["job_id"], line["trace_id"], line["attempt"]) for line in taken_up] == [(job["id"], TRACE, 1)] * 2
    (asked,) = [line for line in lines if line["event"] == "request" and line["route"] == "/v1/jobs"]
    assert (asked["method"], asked["status"], asked["trace_id"]) == ("POST", 202, TRACE)
    assert asked["sent_bytes"] > asked["received_bytes"] > 0
    assert ended["trace_id"] == TRACE
    assert not any(line.get("path") in ("/readyz", "/metrics") for line in lines), "probes flood the log"
    assert {line["service"] for line in lines} == {"gateway"}
    assert "token" not in json.dumps(lines)


def check_numbers(numbers: str) -> None:
    for series in (
        'morula_http_request_duration_seconds_count{method="GET",route="/v1/jobs/{job_id}",status="200"}',
        'morula_http_request_duration_seconds_count{method="GET",route="/readyz",status="200"}',
        'morula_http_sent_bytes_total{route="/v1/jobs/{job_id}"}',
        'morula_job_duration_seconds_count{kind="slide",state="succeeded",verdict="cells"} 1.0',
        # From the start, so that the first failure is a growth.
        'morula_job_duration_seconds_count{kind="slide",state="failed",verdict="none"} 0.0',
        "morula_http_requests_in_flight 1.0",
        'morula_jobs{state="queued"} 0',
        'morula_jobs{state="succeeded"} 1',
        "morula_queue_age_seconds 0.0",
        'morula_shards{stage="cut",state="done"}',
    ):
        assert series in numbers
    assert 'route="/v1/jobs/0' not in numbers, "a series for each job"
