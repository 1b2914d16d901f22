"""The last stage: files for people, from what the stages before left in the store."""

import asyncio
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from morula.common.keys import digest
from morula.gateway.exports.job_files import FileRecord, Source, put_files, write_files
from morula.gateway.labels.learning import Learning
from morula.gateway.ledger import jobs, slides
from morula.gateway.licences import params_behind
from morula.gateway.pipeline.clustering import Member
from morula.gateway.pipeline.keys import Shard
from morula.gateway.pipeline.params import Params
from morula.gateway.pipeline.slide_job import SlideJob, Tools
from morula.gateway.pipeline.units import Json, UnitRunner, WorkUnit
from morula.gateway.refs import from_json
from morula.gateway.views import Views
from morula.v1.artifact_pb2 import SettledSlide

SLIDE_FACTS = (
    "name",
    "digest",
    "width_px",
    "height_px",
    "mpp",
    "mpp_assumed",
    "vendor",
    "stain",
    "stain_detected",
    "tissue",
)


@dataclass(frozen=True)
class Outcome:
    """What the work on slides came to: what is clustered and written to files."""

    verdict: str
    members: Sequence[Member]
    """The slides with cells to cluster; none where there are no cells."""
    work: SlideJob | None
    """None for a cohort, which has no tiles and cells of its own."""
    shards: Sequence[Shard]


class Files:
    """Leaves the files of jobs."""

    def __init__(self, tools: Tools, views: Views, learning: Learning) -> None:
        self._tools = tools
        self._views = views
        self._learning = learning

    async def leave(self, job: Mapping[str, Any], params: Params, outcome: Outcome, clustering_id: str | None) -> str:
        """Write a job's files; the digest of its result. The clustering is None if there was nothing to cluster."""
        tools = self._tools
        runner = UnitRunner(tools.ledger, tools.store, job["id"])

        async def call() -> Json:
            # Inside the unit, because it asks the labeller, which can be away like any service.
            source = await self._source(runner, job, params, outcome, clustering_id)
            folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="morula-tables-", dir=tools.scratch))
            try:
                written = await asyncio.to_thread(write_files, source, folder)
                await runner.claim([row["key"] for row in written.rows])
                await asyncio.to_thread(put_files, tools.store, written)
            finally:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            return {"files": list(written.rows), "result_digest": written.result_digest}

        await runner.add("tables", 1)
        # The keys of files follow from their content and are not known before, so nothing can be looked up: the files
        # are written again whenever a job comes here, and files with the same content have the same keys.
        result = await runner.do(WorkUnit("tables", 0, []), call)
        files: list[FileRecord] = result["files"]
        await tools.ledger.write(jobs.set_files, job["id"], files)
        return str(result["result_digest"])

    async def _source(
        self,
        runner: UnitRunner,
        job: Mapping[str, Any],
        params: Params,
        outcome: Outcome,
        clustering_id: str | None,
    ) -> Source:
        work, ledger = outcome.work, self._tools.ledger
        view = await self._views.get(clustering_id) if clustering_id is not None else None
        slide = await ledger.read(slides.get_slide, job["slide_id"]) if job["slide_id"] is not None else None
        stored = (await ledger.read(jobs.get_job, job["id"]))["settled"]
        return Source(
            store=self._tools.store,
            project=job["project_id"],
            scope=slide["digest"] if slide is not None else digest(job["source_job_ids"]),
            params=params,
            behind=await ledger.read(params_behind, job),
            kind=job["kind"],
            slide={name: slide[name] for name in SLIDE_FACTS} if slide is not None else None,
            plan=(await runner.refs([work.keys.plan]))[0] if work is not None else None,
            tiles=await runner.refs([work.keys.tiles(shard) for shard in outcome.shards]) if work is not None else [],
            settled=from_json(stored, SettledSlide) if stored is not None else None,
            view=view,
            cut=await self._learning.cut(view, view.cluster_count) if view is not None else None,
        )
