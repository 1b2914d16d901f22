"""The tiler on the wire: converts, calls, converts."""

import asyncio
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from morula.common import answers, formats
from morula.common.compute import Checkpoint, Slot
from morula.common.errors import ArtifactMissing, InvalidArgument, of_artifact
from morula.common.refs import ref_of, stain_message, stain_of
from morula.common.store import Store, Stored
from morula.tiler.colours import detect_stain
from morula.tiler.cutting import Plan, SecondCut, cut_again, cut_shard
from morula.tiler.gates import GATES, Gate
from morula.tiler.planning import GridRequest, plan_slide
from morula.tiler.rendering import render_cells, render_region
from morula.tiler.selection import Selection
from morula.tiler.shelf import OpenSlide, Shelf, slide_mpp
from morula.v1 import tiler_pb2, tiler_pb2_grpc
from morula.v1.artifact_pb2 import SlideRef

T = TypeVar("T")
INSPECT_ADMIT = 16
INSPECT_AT_ONCE = 4  # Each in a child of its own, which may take its time: nobody's upload waits for one of them.
RENDER_ADMIT = 128
SLIDE_RENDER_ADMIT = 64  # A viewer asks for a screen of tiles at once; they are short.
RENDER_AT_ONCE = 8  # Slides that are rendered at once; they share the processors.
RENDER_LIMIT_CPU_S = 15.0


class TilerServicer(tiler_pb2_grpc.TilerServiceServicer):
    """People who look at a slide never wait behind cutting, nor behind another slide that the reader chews on."""

    def __init__(self, store: Store, *, admit: int = 3) -> None:
        self._store = store
        self._shelf = Shelf(store)
        self._work = Slot("tiler", admit)
        self._inspect = Slot("tiler-inspect", INSPECT_ADMIT, at_once=INSPECT_AT_ONCE, each_at_once=1)
        self._render = Slot(
            "tiler-render",
            RENDER_ADMIT,
            at_once=RENDER_AT_ONCE,
            each_admit=SLIDE_RENDER_ADMIT,
            each_at_once=1,
            limit_cpu_s=RENDER_LIMIT_CPU_S,
        )

    def close(self) -> None:
        """Ends what runs, closes the slides and removes their folders."""
        for slot in (self._work, self._inspect, self._render):
            slot.close()
        self._shelf.close()

    async def InspectSlide(  # noqa: N802
        self, request: tiler_pb2.InspectSlideRequest, _context: Any
    ) -> tiler_pb2.InspectSlideResponse:
        return await self._on_slide(self._inspect, request.slide, partial(_described, request.slide))

    async def PlanSlide(  # noqa: N802
        self, request: tiler_pb2.PlanSlideRequest, _context: Any
    ) -> tiler_pb2.PlanSlideResponse:
        wanted, selection = _grid(request), _selection(request.selection)
        stored = await asyncio.to_thread(self._store.stat, request.plan_key)
        if stored is None:

            def plan(opened: OpenSlide, checkpoint: Checkpoint) -> Stored:
                mpp = slide_mpp(request.slide, opened.description)
                stain = stain_of(request.stain)
                content = plan_slide(opened.slide, mpp, request.slide.digest, wanted, selection, checkpoint, stain)
                return self._store.put(request.plan_key, content)

            stored = await self._on_slide(self._work, request.slide, plan)
        return await asyncio.to_thread(answers.planned, self._store, ref_of(stored))

    async def CutShard(self, request: tiler_pb2.CutShardRequest, _context: Any) -> tiler_pb2.CutShardResponse:  # noqa: N802
        gate = _gate(request.filter)
        held = await asyncio.to_thread(self._held, request)
        if held is None:

            def cut(opened: OpenSlide, checkpoint: Checkpoint) -> tuple[Stored, Stored]:
                with of_artifact(request.plan.key):
                    content = self._store.get(request.plan.key, request.plan.sha256)
                    plan = Plan.read(content, opened.slide, request.slide.digest)
                with tempfile.TemporaryDirectory(prefix="morula-shard-") as folder:
                    path = Path(folder) / "pixels.arrow"
                    if request.HasField("second_cut"):
                        tiles, again = self._second_cut(request)
                        cut_again(opened.slide, plan, request.shard_index, again, path, checkpoint)
                        return tiles, self._store.put(request.pixels_key, path)
                    table = cut_shard(opened.slide, plan, request.shard_index, gate, path, checkpoint)
                    pixels = self._store.put(request.pixels_key, path)
                    return self._store.put(request.tiles_key, table), pixels

            held = await self._on_slide(self._work, request.slide, cut)
        return await asyncio.to_thread(answers.cut, self._store, *map(ref_of, held))

    async def RenderRegion(  # noqa: N802
        self, request: tiler_pb2.RenderRegionRequest, _context: Any
    ) -> tiler_pb2.RenderRegionResponse:
        def render(opened: OpenSlide, checkpoint: Checkpoint) -> bytes:
            box = (request.x_px, request.y_px, request.width_px, request.height_px)
            return render_region(opened.slide, *box, request.downsample, checkpoint, lossless=request.lossless)

        picture = await self._on_slide(self._render, request.slide, render)
        return tiler_pb2.RenderRegionResponse(**{"png" if request.lossless else "jpeg": picture})

    async def RenderCells(  # noqa: N802
        self, request: tiler_pb2.RenderCellsRequest, _context: Any
    ) -> tiler_pb2.RenderCellsResponse:

        def render(opened: OpenSlide, checkpoint: Checkpoint) -> tuple[bytes, int]:
            centres = [(centre.x_px, centre.y_px) for centre in request.centres]
            mpp = slide_mpp(request.slide, opened.description)
            return render_cells(opened.slide, mpp, centres, request.window_um, request.cell_px, checkpoint)

        jpeg, column_count = await self._on_slide(self._render, request.slide, render)
        return tiler_pb2.RenderCellsResponse(jpeg=jpeg, column_count=column_count)

    async def _on_slide(self, slot: Slot, slide: SlideRef, work: Callable[[OpenSlide, Checkpoint], T]) -> T:
        def run(checkpoint: Checkpoint) -> T:
            with self._shelf.open(slide, checkpoint) as opened:
                return work(opened, checkpoint)

        return await slot.run(run, slide.digest)

    def _held(self, request: tiler_pb2.CutShardRequest) -> tuple[Stored, Stored] | None:
        """What was cut before. Pixels are deleted once they are used, and are then cut again."""
        tiles, pixels = self._store.stat(request.tiles_key), self._store.stat(request.pixels_key)
        return (tiles, pixels) if tiles and pixels else None

    def _second_cut(self, request: tiler_pb2.CutShardRequest) -> tuple[Stored, SecondCut]:
        tiles = self._store.stat(request.tiles_key)
        if tiles is None:
            raise ArtifactMissing("a shard is cut again before it was cut", key=request.tiles_key)
        with of_artifact(tiles.key):
            table = formats.read_tiles(self._store.get(tiles.key, tiles.sha256))
        return tiles, SecondCut(tuple(request.second_cut.regions), request.second_cut.halo_px, table)


def _grid(request: tiler_pb2.PlanSlideRequest) -> GridRequest:
    grid = request.grid
    return GridRequest(
        mpp=grid.mpp,
        tile_px=grid.tile_px,
        halo_px=grid.halo_px,
        region_tile_count=grid.region_tile_count,
        origin_x_px=grid.origin_x_px,
        origin_y_px=grid.origin_y_px,
        shard_tile_count=request.shard_tile_count,
    )


def _selection(wanted: tiler_pb2.TileSelection) -> Selection:
    return Selection(
        include=wanted.include_geojson,
        exclude=wanted.exclude_geojson,
        sample_tile_count=wanted.sample_tile_count,
        seed=wanted.seed,
        gate=_gate(wanted.filter),
        find_cores=wanted.find_cores,
    )


def _gate(wanted: tiler_pb2.TileFilter) -> Gate:
    """The gate that the contract names; unspecified is the default."""
    known: dict[int, Gate] = {tiler_pb2.TileGate.Value(f"TILE_GATE_{gate.upper()}"): gate for gate in GATES}
    gate = known.get(wanted.gate or tiler_pb2.TILE_GATE_DEFAULT)
    if gate is None:
        raise InvalidArgument(f"there is no gate {wanted.gate}", field="filter.gate")
    return gate


def _described(slide: SlideRef, opened: OpenSlide, checkpoint: Checkpoint) -> tiler_pb2.InspectSlideResponse:
    description, scale = opened.description, opened.description.scale
    return tiler_pb2.InspectSlideResponse(
        width_px=description.levels[0].width_px,
        height_px=description.levels[0].height_px,
        mpp=slide.mpp or scale.mpp,
        objective_power=scale.objective_power,
        mpp_assumed=scale.assumed and not slide.mpp,
        vendor=description.vendor,
        stain=stain_message(detect_stain(opened.slide, checkpoint)),
        levels=[
            tiler_pb2.SlideLevel(width_px=level.width_px, height_px=level.height_px, downsample=level.downsample)
            for level in description.levels
        ],
    )
