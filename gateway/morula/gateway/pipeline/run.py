"""The whole job, from top to bottom. The engine behind `Steps` remembers which steps are done."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import Connection

from morula.common import tracing
from morula.common.errors import Internal, MorulaError, Unavailable
from morula.common.models import Profile
from morula.common.telemetry import bind_job, log
from morula.gateway.labels.learning import Learning
from morula.gateway.labels.moving import Moving
from morula.gateway.ledger import jobs, slides
from morula.gateway.ledger.holds import JobLost, watched_state
from morula.gateway.ledger.outages import passes
from morula.gateway.ledger.records import Record
from morula.gateway.licences import check_job
from morula.gateway.pipeline.adding import add
from morula.gateway.pipeline.changing import change
from morula.gateway.pipeline.clustering import Member, cluster, publish, tree_facts
from morula.gateway.pipeline.ended import job_span, tell_of_end
from morula.gateway.pipeline.evaluating import evaluate
from morula.gateway.pipeline.files import Files, Outcome
from morula.gateway.pipeline.keys import Shard, second_cuts
from morula.gateway.pipeline.params import Params, stored_params
from morula.gateway.pipeline.repair import repair
from morula.gateway.pipeline.slide_job import SlideJob, Tools
from morula.gateway.pipeline.units import Json, UnitRunner
from morula.gateway.problems import problem_of
from morula.gateway.refs import slide_ref
from morula.gateway.views import Views

CANCEL_POLL_S = 0.3
CRASH_LIMIT = 3


class Step(Protocol):
    """One step, whose result is remembered once it is done."""

    async def __call__(self, name: str, work: Callable[[], Awaitable[Any]]) -> Any: ...


class Steps(Protocol):
    """The engine. Steps are drawn in a fixed order; they may run in any order."""

    def draw(self) -> Step:
        """The next step."""


class Pipeline:
    """Runs a job. Everything that it does can be done again."""

    def __init__(
        self,
        tools: Tools,
        views: Views,
        learning: Learning,
        moving: Moving,
        in_flight: int,
        max_failed_share: float,
        profile: Profile,
    ) -> None:
        self._tools = tools
        self._files = Files(tools, views, learning)
        self._views = views
        self._learning = learning
        self._moving = moving
        self._in_flight = in_flight
        self._max_failed_share = max_failed_share
        self._profile = profile

    async def run(self, job_id: str, steps: Steps) -> str:
        """Run a job until it ends, and return how it ended.

        "lost" (another conductor has the job now) and "interrupted" (something was away or damaged) leave the job
        unfinished. A conductor takes it up again, and it continues from what was made.
        """
        bind_job(job_id)
        try:
            return await self._run(job_id, steps)
        except JobLost as lost:
            log.warning("job lost", detail=str(lost))
            return "lost"
        except Exception as error:
            if not passes(error):
                raise
            log.warning("job interrupted, for the engine's database is away", detail=type(error).__name__)
            return "interrupted"

    async def _run(self, job_id: str, steps: Steps) -> str:
        job = await self._tools.ledger.write(jobs.start_job, job_id)
        if job is None:
            return await self._end(job_id, "cancelled")
        with tracing.inside(job_span(job)):
            return await self._run_started(job, steps)

    async def _run_started(self, job: Record, steps: Steps) -> str:
        job_id = job["id"]
        log.info("job taken up", attempt=job["attempt"], generation=job["generation"])
        work = asyncio.create_task(self._work(job, steps), name=f"job-{job_id}")
        watch = asyncio.create_task(self._until_cancelled(), name=f"watch-{job_id}")
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                # Raises if the watch failed: then nobody asked to cancel.
                watch.result()
                # This cancels the calls that are under way: services stop at their next checkpoint.
                work.cancel()
                await asyncio.wait({work})
                return await self._end(job_id, "cancelled")
            work.result()
            return "succeeded"
        except MorulaError as error:
            return await self._fail(job_id, error)
        except Exception as error:
            if isinstance(error, JobLost) or passes(error):
                raise
            return await self._crash(job_id, error)
        finally:
            for task in (work, watch):
                task.cancel()
            await asyncio.gather(work, watch, return_exceptions=True)

    async def _fail(self, job_id: str, error: MorulaError) -> str:
        """Leave damaged artifacts to the next run, which makes them again; any other error fails the job."""
        try:
            if await repair(self._tools.ledger, self._tools.store, job_id, error):
                return "interrupted"
        except Unavailable as away:
            # While the store is away nobody knows what is damaged; the next run waits for the store.
            log.warning("job interrupted, for its artifacts are away", detail=str(away))
            return "interrupted"
        except MorulaError as cannot_repair:
            error = cannot_repair
        log.warning("job failed", reason=error.reason, detail=str(error))
        return await self._end(job_id, "failed", error=problem_of(error))

    async def _crash(self, job_id: str, error: Exception) -> str:
        """Handle an unforeseen error: the job is taken up again some times, and fails if the error stays."""
        log.error("job crashed", exc_info=error)
        if await self._tools.ledger.write(jobs.note_crash, job_id) < CRASH_LIMIT:
            return "interrupted"
        internal = Internal("Something went wrong in Morula. The log says what, under the job's id.", job_id=job_id)
        return await self._end(job_id, "failed", error=problem_of(internal))

    async def _end(self, job_id: str, state: str, **values: object) -> str:
        ended = await self._tools.ledger.write(jobs.finish_job, job_id, state, **values)
        if ended is not None:
            await tell_of_end(self._tools.ledger, ended)
            return str(ended["state"])
        return await self._tools.ledger.read(jobs.job_state, job_id)

    async def _until_cancelled(self) -> None:
        # The request to cancel may have come to another process, so the ledger is asked.
        ledger = self._tools.ledger
        state = ""
        while state != "cancelling":
            await asyncio.sleep(CANCEL_POLL_S)
            state = await ledger.read(watched_state, ledger.hold)

    async def _work(self, job: Record, steps: Steps) -> None:
        await self._tools.ledger.read(check_job, job, self._profile)
        if job["kind"] == "evaluation":
            await self._evaluate(job, steps)
            return
        params = stored_params(job["params"])
        work_on = self._slide if job["kind"] == "slide" else self._of_others
        await self._finish(job, params, steps, await work_on(job, params, steps))

    async def _evaluate(self, job: Mapping[str, Any], steps: Steps) -> None:
        await self._enter(job, "evaluate")
        digest = await steps.draw()("evaluate", lambda: evaluate(self._tools, self._views, self._learning, job))
        await self._end(job["id"], "succeeded", result_digest=digest)

    async def _slide(self, job: Mapping[str, Any], params: Params, steps: Steps) -> Outcome:
        slide = await self._tools.ledger.read(slides.get_slide, job["slide_id"])
        files = await self._tools.ledger.read(slides.slide_files, job["slide_id"])
        reference = slide_ref(slide, files, params.slide_mpp)
        work = SlideJob(self._tools, job["id"], job["project_id"], reference, params)

        await self._enter(job, "plan")
        plan = await steps.draw()("plan", work.plan)
        first = [Shard(index, index) for index in range(plan.get("shard_count", 0))]
        if not first:
            return Outcome("no_tissue", [], work, first)

        await self._enter(job, "cut")
        diameter_um = await steps.draw()("measure", lambda: work.measure(plan, first))
        done = await self._shards(work, plan, first, diameter_um, steps)
        await work.count_tiles(done, self._max_failed_share)
        second = second_cuts([counts["truncated_regions"] for counts in done]) if params.second_halo_px else []
        await work.add_shards(len(first) + len(second))
        again = await self._shards(work, plan, second, diameter_um, steps)

        await self._enter(job, "settle")
        settled = await steps.draw()("settle", lambda: work.settle(plan, [*first, *second], [*done, *again]))
        if not int(settled.get("cell_count", 0)):
            return Outcome("no_cells", [], work, first)

        member = Member(job["slide_id"], job["id"], params.slide_mpp, settled)
        return Outcome("cells", [member], work, first)

    async def _shards(
        self, work: SlideJob, plan: Json, shards: Sequence[Shard], diameter_um: float, steps: Steps
    ) -> Sequence[Json]:
        """Take every shard through its three stages, a few at a time, so that the store holds the pixels of few."""
        window = asyncio.Semaphore(self._in_flight)

        async def run_shard(shard: Shard, cut: Step, segment: Step, embed: Step) -> Json:
            async with window:
                needed = not await work.is_embedded(shard)
                tiles: Json = await cut("cut", lambda: work.cut(plan, shard, pixels_needed=needed))
                cells: Json = await segment("segment", lambda: work.segment(plan, shard, diameter_um))
                vectors: Json = await embed("embed", lambda: work.embed(plan, shard))
                return tiles | cells | vectors

        # All steps are drawn before any runs, so that each has the same number when the job is started again.
        drawn = [(shard, steps.draw(), steps.draw(), steps.draw()) for shard in shards]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(run_shard(*each), name=f"shard-{each[0].number}") for each in drawn]
        except ExceptionGroup as failed:
            # The first error is the reason; the others come of the cancelling that followed it.
            raise failed.exceptions[0] from failed
        return [task.result() for task in tasks]

    async def _of_others(self, job: Mapping[str, Any], _params: Params, _steps: Steps) -> Outcome:
        return Outcome("cells", await self._tools.ledger.read(_members, job), None, [])

    async def _finish(self, job: Mapping[str, Any], params: Params, steps: Steps, outcome: Outcome) -> None:
        """Cluster what there is, leave the files, end the job."""
        clustering_id = None
        if members := outcome.members:
            await self._enter(job, "cluster")
            result = await steps.draw()("cluster", lambda: self._cluster(job, params, members))
            runner = UnitRunner(self._tools.ledger, self._tools.store, job["id"])
            facts = await runner.reach(lambda: tree_facts(self._tools.store, result))
            clustering_id, labelling_id = await self._tools.ledger.write(publish, job["id"], result, members, facts)
            await runner.outlast(lambda: self._moving.bring(clustering_id, labelling_id, params.labels_of))
        await self._enter(job, "tables")
        result_digest = await steps.draw()("tables", lambda: self._files.leave(job, params, outcome, clustering_id))
        await self._end(job["id"], "succeeded", verdict=outcome.verdict, result_digest=result_digest)

    async def _cluster(self, job: Mapping[str, Any], params: Params, members: Sequence[Member]) -> Json:
        if job["kind"] in jobs.CHANGES:
            return await change(self._tools, job["id"], job["source_job_ids"][0], params)
        if job["kind"] == "addition":
            return await add(self._tools, job["id"], job["source_job_ids"][0], params, members[-1].settled)
        return await cluster(self._tools, job["id"], job["project_id"], params, members)

    async def _enter(self, job: Mapping[str, Any], stage: str) -> None:
        await self._tools.ledger.write(jobs.note_job, job["id"], stage=stage)


def _members(tx: Connection, job: Mapping[str, Any]) -> list[Member]:
    """The slides of a job: its own, or those of the jobs that it goes on from."""
    if job["kind"] == "slide":
        return [Member(job["slide_id"], job["id"], job["params"]["slide_mpp"], job["settled"])]
    sources = [jobs.get_job(tx, job_id) for job_id in job["source_job_ids"]]
    return [member for source in sources for member in _members(tx, source)]
