"""Whether the gateway lives, whether everything behind it answers, which version it is, and its numbers."""

import asyncio
from importlib.metadata import version
from typing import Any, Literal

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from sqlalchemy import Connection, select

from morula.common import models
from morula.common.errors import Unavailable
from morula.gateway.components import Components, Here
from morula.gateway.pipeline.params import PIPELINE_REVISION
from morula.gateway.schemas import Readiness

router = APIRouter(tags=["health"])

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
    lines = await here.numbers.lines()
    return Response(generate_latest(REGISTRY) + "\n".join([*lines, ""]).encode(), media_type=CONTENT_TYPE_LATEST)


def _touch(tx: Connection) -> None:
    tx.execute(select(1)).scalar_one()
