"""What is told of a job that has ended keeps nobody waiting."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from morula.common import tracing
from morula.gateway.ledger import jobs, shards
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.migrate import default_project, migrate
from morula.gateway.pipeline.ended import tell_of_end
from tests.servers.rows import add_job


class Threads(SpanProcessor):
    """Which thread drew which span."""

    def __init__(self) -> None:
        self.drew: dict[str, int] = {}

    def on_end(self, span: ReadableSpan) -> None:
        self.drew[span.name] = threading.get_ident()


async def test_a_trace_is_not_drawn_on_the_thread_that_answers_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads, url = Threads(), f"sqlite:///{tmp_path}/ledger.sqlite"
    monkeypatch.setattr(tracing, "_provider", tracing._provider)
    monkeypatch.setattr(tracing, "_processor", None)
    tracing.use("gateway", threads)
    migrate(url)
    ledger = Ledger(url)
    with ledger.writing() as tx:
        job_id, _ = add_job(tx, default_project(tx))
        shards.add_shards(tx, job_id, "cut", 1)
        shards.start_shard(tx, job_id, "cut", 0)
        ended = jobs.finish_job(tx, job_id, "succeeded")
    assert ended is not None
    await tell_of_end(ledger, ended)
    ledger.close()
    assert threads.drew.keys() == {"job", "cut", "cut 0"}
    assert threading.get_ident() not in threads.drew.values()
