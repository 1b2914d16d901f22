"""Whether the gateway lives, whether everything behind it answers, which version it is, and its numbers."""

import asyncio
from importlib.metadata import version
from typing import Any, Literal, get_args

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from sqlalchemy import Connection, func, select

from morula.common import models
from morula.common.errors import Unavailable
from morula.gateway.components import Components, Here
from morula.gateway.ledger import demand, jobs
from morula.gateway.ledger.tables import job, shard
from morula.gateway.pipeline.params import PIPELINE_REVISION
from morula.gateway.schemas import JobState, Readiness

router = APIRouter(tags=["health"])

JOB_STATES = get_args(JobState)
# A readiness probe is repeated soon and has a short timeout of its own.
PROBE_S = 2.0


@router.get("/healthz")
async def get_health() -> dict[str, str]:
    """The process lives."""
    return {"state": "alive"}


@router.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness, "description": "Not ready."}})
async def get_readiness(here: Here) -> JSONResponse:
    """The database answers, and what has to be written can be written. Which services answer is told beside it.

    A service that is away keeps nobody from looking and labelling: jobs wait for it.
    """
    asked = asyncio.gather(_database(here), here.workers.serving(), here.storage.writable())
    database, serving, writable = await asked
    ready = database == "ready" and all(writable.values())
    answer = {"state": "ready" if ready else "not ready", "database": database}
    return JSONResponse({**answer, "services": serving, "writable": writable}, 200 if ready else 503)


async def _database(here: Components) -> Literal["ready", "away"]:
    try:
        async with asyncio.timeout(PROBE_S):
            await here.ledger.read(_touch)
    except (Unavailable, TimeoutError):
        return "away"
    return "ready"


@router.get("/version")
async def get_version() -> dict[str, Any]:
    """Version of the program, of the pipeline and of every model."""
    rows = [{"name": spec.name, "task": spec.task, "revision": spec.revision} for spec in models.rows()]
    return {"version": version("morula"), "pipeline_revision": PIPELINE_REVISION, "models": rows}


@router.get(
    "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
)
async def get_metrics(here: Here) -> Response:
    """Numbers for Prometheus."""
    lines = await here.ledger.read(_counts)
    return Response(generate_latest(REGISTRY) + "\n".join([*lines, ""]).encode(), media_type=CONTENT_TYPE_LATEST)


def _touch(tx: Connection) -> None:
    tx.execute(select(1)).scalar_one()


def _counts(tx: Connection) -> list[str]:
    """What only the ledger knows, as Prometheus reads it. No job in a state is a number, too."""
    states: dict[str, int] = dict.fromkeys(JOB_STATES, 0)
    found = tx.execute(select(job.c.state, func.count()).group_by(job.c.state))
    states |= {str(row.state): int(row[1]) for row in found}
    units = tx.execute(select(shard.c.stage, shard.c.state, func.count()).group_by(shard.c.stage, shard.c.state)).all()
    runnable = demand.runnable_counts(tx)
    return [
        "# HELP morula_jobs Jobs by state, of all gateways on this database.",
        "# TYPE morula_jobs gauge",
        *(f'morula_jobs{{state="{state}"}} {count}' for state, count in states.items()),
        "# HELP morula_queue_age_seconds How long the oldest of the queued jobs has waited; 0 where none does.",
        "# TYPE morula_queue_age_seconds gauge",
        f"morula_queue_age_seconds {jobs.queue_age_s(tx):.1f}",
        "# HELP morula_shards Pieces of work by stage and state, of all gateways on this database.",
        "# TYPE morula_shards gauge",
        *(f'morula_shards{{stage="{stage}",state="{state}"}} {count}' for stage, state, count in units),
        "# HELP morula_runnable Pieces of work that a service could do now: what autoscalers look at.",
        "# TYPE morula_runnable gauge",
        *(f'morula_runnable{{service="{service}"}} {count}' for service, count in runnable.items()),
    ]
