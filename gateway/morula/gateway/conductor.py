"""Drives jobs with DBOS: a workflow per attempt of a job, a step per shard and stage.

What users see of a job is in the ledger; the engine only remembers which steps are done, so that a conductor that is
killed carries on where it was. The ledger is also the queue's truth: whatever it calls unfinished and the engine does
not know, or knows for another revision of the pipeline, is submitted.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from dbos import DBOS, DBOSConfig, SetWorkflowID
from sqlalchemy.engine import make_url

from morula.common.telemetry import log
from morula.gateway.ledger import jobs
from morula.gateway.ledger.engine import Ledger, enter_wal
from morula.gateway.pipeline.params import PIPELINE_REVISION
from morula.gateway.pipeline.run import Pipeline, Step
from morula.gateway.settings import GatewaySettings

QUEUE = "jobs"
POLL_S = 0.25
THREAD_LIMIT = 32
UNENDED = ("PENDING", "ENQUEUED", "DELAYED")


class Conductor:
    """The engine and the task that feeds it, as long as the context lasts. There is one in a process."""

    def __init__(self, settings: GatewaySettings, ledger: Ledger, pipeline: Pipeline) -> None:
        self._settings = settings
        self._ledger = ledger
        self._pipeline = pipeline
        self._submitted: set[tuple[str, int]] = set()
        self._running: set[asyncio.Task[Any]] = set()
        self._feed: asyncio.Task[None] | None = None
        self._stopping = False

    async def __aenter__(self) -> "Conductor":
        prepare_sqlite(self._settings.conductor_url)
        DBOS(config=_config(self._settings))
        # Its errors go where ours go: it tells of a job that it lost nowhere else.
        engine_log = logging.getLogger("dbos")
        engine_log.handlers.clear()
        engine_log.propagate = True

        # A function of its own, because the engine registers no methods of objects without names.
        async def run_job(job_id: str) -> str:
            return await self._run(job_id)

        self._workflow = DBOS.workflow(name="run_job", max_recovery_attempts=None)(run_job)
        # Launched on this loop, so that workflows run on it and may use the channels opened on it.
        DBOS.launch()
        await DBOS.register_queue_async(
            QUEUE,
            worker_concurrency=self._settings.job_concurrency,
            polling_interval_sec=POLL_S,
            on_conflict="always_update",
        )
        self._feed = asyncio.create_task(self._submit_jobs(), name="conductor")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._feed is not None:
            self._feed.cancel()
            with suppress(asyncio.CancelledError):
                await self._feed
        # Jobs before the engine: without it, and without its threads, they would take themselves for failed. The
        # engine does not take down as ended what is cancelled here, and hands it to the next conductor.
        self._stopping = True
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.to_thread(DBOS.destroy, destroy_registry=True)
        # The engine had made its own threads those of the loop.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())

    async def _run(self, job_id: str) -> str:
        if self._stopping:
            raise asyncio.CancelledError
        task = asyncio.current_task()
        if task is not None:
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return await self._pipeline.run(job_id, _Steps())

    async def _submit_jobs(self) -> None:
        while True:
            try:
                for row in await self._ledger.read(jobs.unfinished_jobs):
                    attempt = (row["id"], row["attempt"])
                    if attempt not in self._submitted:
                        await self._submit(*attempt)
                        self._submitted.add(attempt)
            except Exception:  # noqa: BLE001 whatever the engine raises, no job may wait for ever
                log.exception("jobs cannot be submitted")
            await asyncio.sleep(POLL_S)

    async def _submit(self, job_id: str, attempt: int) -> None:
        """Submit a job's attempt, unless the engine has it; under a new name where its last run is over or outdated."""
        generation = 0
        while True:
            name = f"{job_id}:{attempt}:{generation}"
            known = await DBOS.get_workflow_status_async(name)
            if known is None:
                break
            if known.status in UNENDED:
                if known.app_version == PIPELINE_REVISION:
                    return
                await DBOS.cancel_workflow_async(name)
            generation += 1
        with SetWorkflowID(name):
            await DBOS.enqueue_workflow_async(QUEUE, self._workflow, job_id)
        log.info("job submitted", job_id=job_id, attempt=attempt, generation=generation)


class _Steps:
    """Steps of the engine; each number is drawn when asked for, whenever the step runs."""

    def draw(self) -> Step:
        reserved = DBOS.reserve_step()

        async def step(name: str, work: Callable[[], Awaitable[Any]]) -> Any:
            async def run() -> Any:
                return await work()

            return await reserved.run_async({"name": name}, run)

        return step


def _config(settings: GatewaySettings) -> DBOSConfig:
    return DBOSConfig(
        name="morula",
        system_database_url=settings.conductor_url,
        executor_id=settings.executor_id,
        application_version=PIPELINE_REVISION,
        log_level="ERROR",
        max_executor_threads=THREAD_LIMIT,
        run_migrations=True,
    )


def prepare_sqlite(url: str) -> None:
    """Put an SQLite file into WAL mode before the engine opens it: its steps then cost a quarter."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database is None:
        return
    Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(parsed.database)) as connection:
        enter_wal(connection)
