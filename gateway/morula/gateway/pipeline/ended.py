"""Notes that a job has ended: a line in the log, metrics, and its trace.

The trace is drawn from the ledger, which knows when each unit of work was done, even if conductors were killed
meanwhile. Ids of spans follow from the names of job, stage and unit, so that calls to services find their parent.
"""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, get_args

from opentelemetry.trace import SpanContext
from prometheus_client import Histogram

from morula.common import tracing
from morula.common.telemetry import log
from morula.common.tracing import Drawn
from morula.gateway.ledger import shards
from morula.gateway.ledger.engine import Transactions
from morula.gateway.ledger.records import Record
from morula.gateway.pipeline.params import PIPELINE_REVISION
from morula.gateway.schemas import JobKind, JobVerdict

DURATIONS = Histogram(
    "morula_job_duration_seconds",
    "From the asking for a job to its end, waiting included, by kind, final state and verdict.",
    ["kind", "state", "verdict"],
    buckets=(1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600),
)
SUCCESSES = {"slide": get_args(JobVerdict), "evaluation": ("none",)}
"""Verdicts of kinds of jobs that may succeed with others than `cells`."""
# From 0: a series that begins with 1 has not grown, and the first failure after a start would be in no rate.
for _kind in get_args(JobKind):
    for _state in ("failed", "cancelled"):
        DURATIONS.labels(_kind, _state, "none")
    for _verdict in SUCCESSES.get(_kind, ("cells",)):
        DURATIONS.labels(_kind, "succeeded", _verdict)
COUNTS = (
    "tile_count",
    "kept_tile_count",
    "failed_tile_count",
    "cell_count",
    "truncated_cell_count",
    "unembedded_cell_count",
)


def job_span(job: Record) -> SpanContext:
    """The span of this attempt of a job, below the request that made the job if that was traced."""
    return tracing.named(_above(job) or tracing.root(job["id"]), f"{job['id']}/{job['attempt']}")


def unit_span(stage: str, number: int) -> SpanContext:
    """The span of a unit of work; the current span is the job's."""
    return tracing.named(tracing.named(tracing.current(), stage), str(number))


async def tell_of_end(ledger: Transactions, job: Record) -> None:
    """Log a job that has just ended, count it, and draw its trace."""
    duration_s = job["finished_at"] - job["queued_at"]
    DURATIONS.labels(job["kind"], job["state"], job["verdict"] or "none").observe(duration_s)
    with tracing.inside(job_span(job)):
        log.info(
            "job ended",
            job_id=job["id"],
            kind=job["kind"],
            state=job["state"],
            verdict=job["verdict"],
            reason=_reason(job),
            attempt=job["attempt"],
            generation=job["generation"],
            duration_s=round(duration_s, 3),
            result_digest=job["result_digest"],
            pipeline_revision=PIPELINE_REVISION,
            **{name: job[name] for name in COUNTS},
        )
    if tracing.is_exporting():
        units = await ledger.read(shards.list_shards, job["id"])
        # On a thread: the spans of ten thousand units take a second, and the loop answers everybody.
        await asyncio.to_thread(lambda: tracing.draw(_spans(job, units)))


def _spans(job: Record, units: Sequence[Record]) -> list[Drawn]:
    """Spans of the job, its stages, and their units that were begun in this attempt."""
    span = job_span(job)
    facts = {"kind": job["kind"], "state": job["state"], "attempt": job["attempt"], "generation": job["generation"]}
    about = {"morula.job_id": job["id"]} | {f"morula.{name}": value for name, value in facts.items()}
    drawn = [Drawn("job", span, _above(job), job["queued_at"], job["finished_at"], about, _reason(job))]
    # All units belong to the first attempt, even if the clocks of two machines differ.
    since = job["queued_at"] if job["attempt"] > 1 else 0.0
    begun = [unit for unit in units if unit["started_at"] is not None and unit["started_at"] >= since]
    for stage, rows in groupby(begun, key=lambda unit: str(unit["stage"])):
        above = tracing.named(span, stage)
        below = [_piece_span(job, row, above) for row in rows]
        began_s, ended_s = min(unit.began_s for unit in below), max(unit.ended_s for unit in below)
        drawn += [Drawn(stage, above, span, began_s, ended_s), *below]
    return drawn


def _piece_span(job: Record, unit: Record, stage: SpanContext) -> Drawn:
    began_s, ended_s = unit["started_at"], unit["finished_at"] or 0.0
    return Drawn(
        f"{unit['stage']} {unit['number']}",
        tracing.named(stage, str(unit["number"])),
        stage,
        began_s,
        ended_s if ended_s >= began_s else job["finished_at"],
        {f"morula.{name}": unit[name] for name in ("state", "attempt_count", "busy_count")},
        "UNIT_FAILED" if unit["state"] == "failed" else None,
    )


def _above(job: Record) -> SpanContext | None:
    return tracing.parse(job["traceparent"]) if job["traceparent"] else None


def _reason(job: Record) -> str | None:
    error: Mapping[str, Any] = job["error"] or {}
    return error.get("reason")
