"""The calls that turn a slide into settled cells, each made once; `run.py` makes them in order."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from morula.common import answers, imported
from morula.common.errors import ArtifactMissing, InvalidArgument, SlideUnreadable
from morula.common.refs import ref_of, stain_message
from morula.common.shard_lists import write_shard_list
from morula.common.store import Store, put_exactly
from morula.gateway.ledger import jobs
from morula.gateway.ledger.holds import HeldLedger
from morula.gateway.pipeline.keys import Shard, SlideKeys
from morula.gateway.pipeline.params import Params
from morula.gateway.pipeline.units import Json, Refs, UnitRunner, WorkUnit
from morula.gateway.refs import from_json, to_json
from morula.gateway.workers import Workers
from morula.v1.artifact_pb2 import Numerics, ObjectRef, ShardCells, SlideRef
from morula.v1.clusterer_pb2 import CellIdentity, SettleCellsRequest, SettleCellsResult
from morula.v1.embedder_pb2 import EmbedCellsRequest
from morula.v1.segmenter_pb2 import (
    MeasureObjectsRequest,
    SegmentParams,
    SegmentShardRequest,
    SegmentShardResponse,
)
from morula.v1.tiler_pb2 import (
    CutShardRequest,
    CutShardResponse,
    PlanSlideRequest,
    PlanSlideResponse,
    SecondCut,
    TileGrid,
)


@dataclass(frozen=True)
class Tools:
    """What a job works with."""

    ledger: HeldLedger
    workers: Workers
    store: Store
    scratch: Path | None
    """Folder of files until they are in the store."""


class SlideJob:
    """One slide under one set of parameters."""

    def __init__(self, tools: Tools, job_id: str, project: str, slide: SlideRef, params: Params) -> None:
        self.job_id = job_id
        self.slide = slide
        self.params = params
        self.keys = SlideKeys(project, slide.digest, params)
        self._tools = tools
        self._store = tools.store
        self._workers = tools.workers
        self._runner = UnitRunner(tools.ledger, tools.store, job_id)

    async def plan(self) -> Json:
        """Find tissue and place the grid; the plan's numbers as JSON."""
        await self._runner.add("plan", 1)
        params = self.params
        grid = TileGrid(
            mpp=params.mpp,
            tile_px=params.tile_px,
            halo_px=params.halo_px,
            region_tile_count=params.region_tile_count,
            origin_x_px=params.origin_x_px,
            origin_y_px=params.origin_y_px,
        )
        request = PlanSlideRequest(
            slide=self.slide,
            grid=grid,
            shard_tile_count=params.shard_tile_count,
            plan_key=self.keys.plan,
            selection=params.selection,
            stain=stain_message(params.stain),
        )

        def find(refs: Refs) -> PlanSlideResponse:
            return answers.planned(self._store, refs[self.keys.plan])

        unit = WorkUnit("plan", 0, [self.keys.plan])
        plan = await self._runner.make(unit, find, lambda: self._workers.plan_slide(request), to_json)
        await self.add_shards(plan.get("shard_count", 0))
        await self._tools.ledger.write(jobs.note_job, self.job_id, tile_count=int(plan.get("tile_count", 0)))
        return plan

    async def add_shards(self, count: int) -> None:
        """Note that there are so many shards."""
        for stage in ("cut", "segment", "embed"):
            await self._runner.add(stage, count)

    async def is_embedded(self, shard: Shard) -> bool:
        """Whether the shard is done, so that its pixels are needed no more."""
        for unit in (self._cut_unit, self._segment_unit, self._embed_unit):
            try:
                if not await self._runner.exists(await unit(shard)):
                    return False
            except ArtifactMissing:  # an input of the unit is missing, too
                return False
        return True

    async def _cut_unit(self, shard: Shard, passing: Sequence[str] = ()) -> WorkUnit:
        inputs = await self._runner.refs([self.keys.plan])
        besides = [self._pixels(shard)]
        return WorkUnit("cut", shard.number, [self.keys.tiles(shard)], inputs, passing, besides)

    async def _segment_unit(self, shard: Shard) -> WorkUnit:
        made_of = [self.keys.plan, self.keys.tiles(shard)]
        if shard.regions:
            made_of.append(self.keys.cells(shard.first_cut))
        return WorkUnit("segment", shard.number, [self.keys.cells(shard)], await self._runner.refs(made_of))

    async def _embed_unit(self, shard: Shard) -> WorkUnit:
        made_of = await self._runner.refs([self.keys.plan, self.keys.tiles(shard), self.keys.cells(shard)])
        return WorkUnit("embed", shard.number, [self.keys.vectors(shard), self.keys.morphology(shard)], made_of)

    async def cut(self, plan: Mapping[str, Any], shard: Shard, *, pixels_needed: bool) -> Json:
        """Decode the shard's tiles, judge them and keep their pixels; for a second cut, decode some regions again."""
        tiles_key, pixels_key = self.keys.tiles(shard), self._pixels(shard)

        def find(refs: Refs) -> CutShardResponse:
            return answers.cut(self._store, refs[tiles_key], None)

        async def call() -> CutShardResponse:
            parsed = from_json(plan, PlanSlideResponse)
            request = CutShardRequest(
                slide=self.slide,
                plan=parsed.plan,
                shard_index=shard.index,
                tiles_key=tiles_key,
                pixels_key=pixels_key,
                filter=self.params.tile_filter,
            )
            if shard.regions:
                again = SecondCut(regions=shard.regions, halo_px=self.params.second_halo_px)
                request.second_cut.CopyFrom(again)
            return await self._workers.cut_shard(request)

        unit = await self._cut_unit(shard, [pixels_key] if pixels_needed else [])
        return await self._runner.make(unit, find, call, _tile_counts)

    async def measure(self, plan: Mapping[str, Any], shards: Sequence[Shard]) -> float:
        """Diameter of the slide's objects, measured in its middle shard; 0 if the model does not measure it."""
        if not self.params.measures_objects:
            return 0.0
        sample = shards[len(shards) // 2]
        await self.cut(plan, sample, pixels_needed=True)
        request = MeasureObjectsRequest(
            pixels=await self._ref(self._pixels(sample)),
            model=self.params.segmenter_ref,
            calibration=from_json(plan, PlanSlideResponse).calibration,
            numerics=self._numerics,
            normalize=self.params.normalize,
            channels=self.params.channels or (),
        )

        async def call() -> Json:
            return {"diameter_um": (await self._workers.measure_objects(request)).diameter_um}

        return float((await self._runner.ask(WorkUnit("segment", sample.number, ()), call))["diameter_um"])

    @property
    def _numerics(self) -> Numerics:
        return Numerics(dtype=self.params.network_dtype, thread_count=self.params.network_thread_count)

    async def segment(self, plan: Mapping[str, Any], shard: Shard, diameter_um: float) -> Json:
        """Find the shard's cells, and the regions in which the halo cuts some."""
        cells_key, params = self.keys.cells(shard), self.params

        def find(refs: Refs) -> SegmentShardResponse:
            return answers.segmented(self._store, refs[cells_key])

        async def call() -> SegmentShardResponse:
            calibration = from_json(plan, PlanSlideResponse).calibration
            request = SegmentShardRequest(
                pixels=await self._ref(self._pixels(shard)),
                tiles=await self._ref(self.keys.tiles(shard)),
                model=params.segmenter_ref,
                params=SegmentParams(
                    **{"diameter_um": diameter_um} | params.segmentation,
                    calibration=calibration,
                    numerics=self._numerics,
                ),
                cells_key=cells_key,
                imported=imported_cells(self.slide, params.segmenter),
            )
            return await self._workers.segment_shard(request)

        return await self._runner.make(await self._segment_unit(shard), find, call, _cell_counts)

    async def embed(self, plan: Mapping[str, Any], shard: Shard) -> Json:
        """Describe the shard's cells by numbers; its pixels are deleted once that is durable."""
        morphology_key = self.keys.morphology(shard)

        def find(refs: Refs) -> int:
            return answers.unembedded(self._store, refs[morphology_key])

        async def call() -> int:
            request = EmbedCellsRequest(
                pixels=await self._ref(self._pixels(shard)),
                cells=await self._ref(self.keys.cells(shard)),
                model=self.params.embedder_ref,
                calibration=from_json(plan, PlanSlideResponse).calibration,
                vectors_key=self.keys.vectors(shard),
                morphology_key=morphology_key,
                numerics=Numerics(
                    dtype=self.params.embedder_dtype or "", thread_count=self.params.embedder_thread_count or 0
                ),
            )
            return (await self._workers.embed_cells(request)).unembedded_cell_count

        # Of artifacts that are there no vectors are read.
        done = await self._runner.make(await self._embed_unit(shard), find, call, _unembedded)
        await self._runner.reach(lambda: self._store.delete(self._pixels(shard)))
        return done

    async def count_tiles(self, cut: Sequence[Mapping[str, Any]], max_failed_share: float) -> None:
        """Add up the shards' counts of tiles; the job fails if too many tiles could not be read."""
        kept, failed = (sum(shard[name] for shard in cut) for name in ("kept", "failed"))
        read = sum(shard["kept"] + shard["rejected"] + shard["failed"] for shard in cut)
        counts = {"kept_tile_count": kept, "failed_tile_count": failed}
        await self._tools.ledger.write(jobs.note_job, self.job_id, **counts)
        if failed > max_failed_share * read:
            raise SlideUnreadable(f"{failed} of {read} tiles could not be read, more than {max_failed_share:.0%}.")

    async def settle(
        self, plan: Mapping[str, Any], shards: Sequence[Shard], embedded: Sequence[Mapping[str, Any]]
    ) -> Json:
        """Decide which cells stay, and number them; the settled slide as JSON."""
        await self._runner.add("settle", 1)
        index_key, outlines_key = self.keys.index(shards), self.keys.outlines(shards)
        cells = await self._runner.refs([self.keys.cells(shard) for shard in shards])
        vectors = await self._runner.refs([self.keys.vectors(shard) for shard in shards])
        morphology = await self._runner.refs([self.keys.morphology(shard) for shard in shards])
        columns = zip(cells, vectors, morphology, strict=True)
        listed = [ShardCells(cells=c, vectors=v, morphology=m) for c, v, m in columns]
        shard_list = await self._keep_list(shards, listed)

        async def call() -> SettleCellsResult:
            request = SettleCellsRequest(
                identity=CellIdentity(
                    slide_digest=self.slide.digest,
                    object_kind=self.params.object_kind,
                    model=self.params.segmenter_ref,
                    mpp=plan["mpp"],
                    slide_mpp=self.params.slide_mpp,
                ),
                shard_list=shard_list,
                index_key=index_key,
                outlines_key=outlines_key,
            )
            return await self._workers.settle_cells(request, lambda _done, _total: asyncio.sleep(0))

        def find(refs: Refs) -> SettleCellsResult:
            index, outlines = refs[index_key], refs[outlines_key]
            return answers.settled(self._store, self.slide.digest, index, outlines, shard_list)

        unit = WorkUnit("settle", 0, [index_key, outlines_key], cells)
        result = await self._runner.make(unit, find, call, to_json)
        parsed = from_json(result, SettleCellsResult)
        parsed.settled.vectors_digest = self.keys.vectors_digest(shards)
        settled = to_json(parsed.settled)
        counts = {
            "cell_count": parsed.settled.cell_count,
            "truncated_cell_count": parsed.truncated_cell_count,
            "unembedded_cell_count": await self._count_unembedded(parsed.settled.index, morphology, embedded),
        }
        await self._tools.ledger.write(jobs.note_job, self.job_id, settled=settled, **counts)
        return settled

    async def _count_unembedded(
        self, index: ObjectRef, morphology: Sequence[ObjectRef], embedded: Sequence[Mapping[str, Any]]
    ) -> int:
        """How many of the cells that stay have no vector. Shards of a conductor of before say nothing: they had all."""
        some = [number for number, shard in enumerate(embedded) if shard.get("unembedded", 0)]
        if not some:
            return 0
        return await self._runner.reach(
            lambda: answers.unembedded_of(self._store, index, {number: morphology[number] for number in some})
        )

    async def _keep_list(self, shards: Sequence[Shard], listed: Sequence[ShardCells]) -> ObjectRef:
        """Write the artifact that names all shards' artifacts; wrong bytes under its key are replaced."""
        content = write_shard_list(listed)
        sha256 = hashlib.sha256(content).hexdigest()
        key = self.keys.shard_list(shards, sha256)
        await self._runner.claim([key])
        return ref_of(await self._runner.reach(lambda: put_exactly(self._store, key, content, sha256)))

    def _pixels(self, shard: Shard) -> str:
        return self.keys.own_pixels(self.job_id, shard)

    async def _ref(self, key: str) -> ObjectRef:
        (ref,) = await self._runner.refs([key])
        return ref


def imported_cells(slide: SlideRef, segmenter: str) -> ObjectRef | None:
    """The file of cells that came with a slide, for the segmenter that takes them; raises where there is none."""
    if segmenter != imported.MODEL:
        return None
    found: ObjectRef | None = next((file.object for file in slide.files if file.name.endswith(imported.ENDING)), None)
    if found is None:
        raise InvalidArgument(
            "No cells came with this slide, so there is nothing for the segmenter imported to take: `morula import` "
            "brings slides with their cells."
        )
    return found


def _tile_counts(answer: CutShardResponse) -> Json:
    counts = (answer.kept_tile_count, answer.rejected_tile_count, answer.failed_tile_count)
    return dict(zip(("kept", "rejected", "failed"), counts, strict=True))


def _cell_counts(answer: SegmentShardResponse) -> Json:
    return {"cells": answer.cell_count, "truncated_regions": list(answer.truncated_regions)}


def _unembedded(count: int) -> Json:
    return {"unembedded": count}
