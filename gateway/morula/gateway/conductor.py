"""Drives jobs with DBOS, the engine: one workflow each time a job is taken up, one step per shard and stage.

The ledger is the queue of jobs, and what it says about them holds. Any conductor of the database that runs fewer jobs
than it may takes up, under a new generation, a job that is unfinished and that nobody runs. The engine remembers which
steps of a workflow are done. When a conductor is started again under its name, the engine hands it the workflows that
it had, and they continue. If the engine lost a workflow or the workflow failed, the next generation of the job finds in
the store what was made.
"""

import asyncio
import logging
import secrets
import sqlite3
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any

from dbos import DBOS, DBOSConfig, SetWorkflowID
from sqlalchemy.engine import make_url

from morula.common.errors import Unavailable
from morula.common.telemetry import log
from morula.gateway.beats import Beats
from morula.gateway.ledger import holds, jobs
from morula.gateway.ledger.engine import MIGRATION_BUSY_TIMEOUT_S, Ledger, enter_wal
from morula.gateway.ledger.holds import HeldLedger, Hold
from morula.gateway.ledger.records import Record
from morula.gateway.pipeline.ended import tell_of_end
from morula.gateway.pipeline.params import PIPELINE_REVISION
from morula.gateway.pipeline.run import Pipeline, Step
from morula.gateway.settings import GatewaySettings
from morula.gateway.tasks import is_cancelled, keep_running

POLL_S = 0.25
BEAT_S = 2.0
# A job whose beat stands still for so long is lost.
LOST_S = 8.0
# The engine has so long to hand a restarted conductor the workflows that it had.
RETURN_S = 5.0
# A conductor that did not look for so long (frozen, or without a database) starts to watch beats anew.
BLIND_S = 3.0
# A job whose run ended too early is not taken up again at once: the cause may still be there.
PAUSE_S = 1.0
THREAD_LIMIT = 32
# A gateway that stops waits so long for the engine's look for messages, of which it sends none.
ENGINE_POLL_S = 0.1
UNENDED = ("PENDING", "ENQUEUED", "DELAYED")


class Conductor:
    """Runs the engine and the task that feeds it while the context lasts. A process has one."""

    def __init__(self, settings: GatewaySettings, ledger: Ledger, pipeline: Callable[[HeldLedger], Pipeline]) -> None:
        self._settings = settings
        self._ledger = ledger
        self._pipeline = pipeline
        # Differs from the ids of earlier conductors of this name, and of one that has the same name by mistake.
        self._id = f"{settings.executor_id}/{secrets.token_hex(6)}"
        self._beats = Beats(BLIND_S)
        self._live: dict[str, Hold] = {}
        self._not_before: dict[str, float] = {}
        self._running: set[asyncio.Task[Any]] = set()
        self._runs: set[asyncio.Task[None]] = set()
        self._side_tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def __aenter__(self) -> "Conductor":
        await self._ledger.patient.write(holds.let_go, f"{self._settings.executor_id}/")
        prepare_sqlite(self._settings.conductor_url)
        DBOS(config=_config(self._settings))
        # The engine's errors go into our log: they are the only sign of a workflow that it lost.
        engine_log = logging.getLogger("dbos")
        engine_log.handlers.clear()
        engine_log.propagate = True

        # A function of its own, because the engine registers no methods of objects without names.
        async def run_job(job_id: str, generation: int) -> str:
            return await self._run(Hold(job_id, self._id, generation))

        self._workflow = DBOS.workflow(name="run_job", max_recovery_attempts=None)(run_job)
        # Launched on this loop, so that workflows run on it and may use the channels opened on it.
        DBOS.launch()
        for name, work in (("conductor", self._feed_engine), ("beats", self._beat)):
            self._side_tasks.add(asyncio.create_task(keep_running(name, work), name=name))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Jobs end before the engine: without it and its threads they would fail. The engine does not count workflows
        # that are cancelled here as ended, and hands them to the next conductor of this name.
        self._stopping = True
        for tasks in (self._side_tasks, self._running, self._runs):
            ending = list(tasks)
            for task in ending:
                task.cancel()
            await asyncio.gather(*ending, return_exceptions=True)
        await asyncio.to_thread(DBOS.destroy, destroy_registry=True)
        # The engine had replaced the loop's threads by its own, which are gone now.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
        try:
            await self._ledger.write(holds.let_go, self._id)
        except Unavailable:
            log.warning("jobs cannot be handed on at once: the database is away")

    async def _feed_engine(self) -> None:
        while True:
            rows = await self._ledger.patient.read(jobs.unfinished_jobs)
            self._beats.look({row["id"]: (row["conductor"], row["generation"], row["beat"]) for row in rows})
            self._not_before = {row["id"]: self._not_before.get(row["id"], 0.0) for row in rows}
            for row in rows:
                try:
                    await self._look_after(row)
                except Exception:
                    if is_cancelled():
                        raise
                    # Whatever the engine raises for one job: the others are looked after, and this one again later.
                    log.exception("job cannot be taken up", job_id=row["id"])
            await asyncio.sleep(POLL_S)

    async def _beat(self) -> None:
        # A task of its own: the feed may wait long for the engine, while running jobs must keep their beat.
        while True:
            if self._live:
                await self._ledger.patient.write(holds.beat, list(self._live.values()))
            await asyncio.sleep(BEAT_S)

    async def _look_after(self, row: Record) -> None:
        """Take the job up or end it, if nobody has it."""
        job_id = row["id"]
        if job_id in self._live or (row["conductor"] not in (None, self._id) and self._beats.still_s(job_id) <= LOST_S):
            return
        if row["state"] == "cancelling":
            ended = await self._ledger.patient.write(holds.end_cancelled, job_id, row["generation"])
            if ended is not None:
                await tell_of_end(self._ledger.patient, ended)
            return
        if len(self._live) >= self._settings.job_concurrency or time.monotonic() < self._not_before[job_id]:
            return
        if row["conductor"] is None and await self._returns(row):
            return
        hold = await self._ledger.patient.write(holds.take_up, job_id, row["generation"], self._id)
        if hold is not None:
            await self._start(hold)

    async def _returns(self, row: Record) -> bool:
        """Whether the engine will soon hand this conductor the workflow that the job had before the restart."""
        if row["generation"] == 0 or self._beats.still_s(row["id"]) > RETURN_S:
            return False
        known = await DBOS.get_workflow_status_async(_name(row["id"], row["generation"]))
        return (
            known is not None
            and known.status in UNENDED
            and known.executor_id == self._settings.executor_id
            and known.app_version == PIPELINE_REVISION
        )

    async def _start(self, hold: Hold) -> None:
        self._live[hold.job_id] = hold
        try:
            # A former conductor that still runs the job, frozen or cut off, learns of this at its next step.
            await DBOS.cancel_workflow_async(_name(hold.job_id, hold.generation - 1))
            with SetWorkflowID(_name(hold.job_id, hold.generation)):
                handle = await DBOS.start_workflow_async(self._workflow, hold.job_id, hold.generation)
        except BaseException:
            self._leave(hold)
            raise
        follower = asyncio.create_task(self._follow(hold, handle), name=f"run-{hold.job_id}")
        self._runs.add(follower)
        follower.add_done_callback(self._runs.discard)

    async def _follow(self, hold: Hold, handle: Any) -> None:
        try:
            await handle.get_result()
        except Exception as error:  # noqa: BLE001 the ledger says whether the job is over; if not, it is taken up again
            log.warning("workflow ended badly", job_id=hold.job_id, detail=type(error).__name__)
        finally:
            self._leave(hold)

    def _leave(self, hold: Hold) -> None:
        if self._live.get(hold.job_id) == hold:
            del self._live[hold.job_id]
            self._not_before[hold.job_id] = time.monotonic() + PAUSE_S

    async def _run(self, hold: Hold) -> str:
        """The work of one workflow, for a job that this conductor took up now or had before a restart."""
        if self._stopping:
            raise asyncio.CancelledError
        task = asyncio.current_task()
        if task is not None:
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        if self._live.get(hold.job_id) != hold:
            if hold.job_id in self._live or not await self._ledger.patient.write(holds.carry_on, hold):
                return "over"
            self._live[hold.job_id] = hold
        try:
            return await self._pipeline(HeldLedger(self._ledger, hold)).run(hold.job_id, _Steps())
        finally:
            self._leave(hold)


class _Steps:
    """Steps of the engine. A step has its number from when it is drawn, whenever it runs."""

    def draw(self) -> Step:
        reserved = DBOS.reserve_step()

        async def step(name: str, work: Callable[[], Awaitable[Any]]) -> Any:
            async def run() -> Any:
                return await work()

            return await reserved.run_async({"name": name}, run)

        return step


def _name(job_id: str, generation: int) -> str:
    """The engine's name for one generation of a job."""
    return f"{job_id}:{generation}"


def _config(settings: GatewaySettings) -> DBOSConfig:
    return DBOSConfig(
        name="morula",
        system_database_url=settings.conductor_url,
        executor_id=settings.executor_id,
        application_version=PIPELINE_REVISION,
        log_level="ERROR",
        max_executor_threads=THREAD_LIMIT,
        run_migrations=True,
        notification_listener_polling_interval_sec=ENGINE_POLL_S,
    )


def prepare_sqlite(url: str) -> None:
    """Put an SQLite file into WAL mode before the engine opens it, which makes a step four times as fast."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database is None:
        return
    Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(parsed.database)) as connection:
        enter_wal(connection, MIGRATION_BUSY_TIMEOUT_S)
