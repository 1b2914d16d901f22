"""SegmenterService: keys in, keys out; the work is in `core`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from morula.common import answers
from morula.common.compute import Checkpoint, Processors, Slot, in_order
from morula.common.errors import ArtifactInvalid, InvalidArgument, ModelUnavailable, of_artifact
from morula.common.formats import Metadata, read_metadata, read_tiles, write_cells
from morula.common.geometry import Grid
from morula.common.imported import Imported, opened
from morula.common.models import resolve
from morula.common.pixels import Region, read_pixels_metadata, read_regions
from morula.common.refs import ref_of
from morula.common.segmentation import Normalization
from morula.common.store import Store, Stored
from morula.networks.asked import numerics_of
from morula.segmenter import core
from morula.segmenter.backends import MODELS
from morula.segmenter.imported import painted_around
from morula.segmenter.instances import REGIONS_AT_ONCE, Calibration, Model, Sizing, Wanted
from morula.segmenter.outlines import outline
from morula.segmenter.params import DEFAULTS, FlowParams
from morula.v1 import artifact_pb2, segmenter_pb2, segmenter_pb2_grpc

# One region's network runs while another's flows become outlines.
REGIONS_OF_A_SHARD = 2
_NORMALIZATIONS: Mapping[str, Normalization] = {"": "slide", "slide": "slide", "image": "image", "none": "none"}


class SegmenterServicer(segmenter_pb2_grpc.SegmenterServiceServicer):
    """Runs the shards that its slot lets in beside each other: their crops share batches, their regions processors."""

    def __init__(
        self, store: Store, slot: Slot, models: Mapping[str, Model] = MODELS, processors: Processors | None = None
    ) -> None:
        self._store = store
        self._slot = slot
        self._models = models
        self._processors = processors or Processors()
        self._regions = threading.BoundedSemaphore(REGIONS_AT_ONCE)

    async def MeasureObjects(  # noqa: N802 - the contract's name
        self, request: segmenter_pb2.MeasureObjectsRequest, _context: object
    ) -> segmenter_pb2.MeasureObjectsResponse:
        dtype, thread_count = numerics_of(request.numerics)
        flows = replace(
            DEFAULTS,
            normalize=_normalization(request.normalize),
            channels=tuple(request.channels),
            dtype=dtype,
            thread_count=thread_count,
        )
        wanted = Wanted(calibration=_calibration(request.calibration), flows=flows, is_part=True)
        name = self._name(request.model)
        return await self._slot.run(lambda checkpoint: self._measure(request.pixels, name, wanted, checkpoint))

    async def SegmentShard(  # noqa: N802 - the contract's name
        self, request: segmenter_pb2.SegmentShardRequest, _context: object
    ) -> segmenter_pb2.SegmentShardResponse:
        name = self._name(request.model)
        stored = await asyncio.to_thread(self._store.stat, request.cells_key)
        if stored is None:
            stored = await self._slot.run(lambda checkpoint: self._segment(request, name, checkpoint))
        return await asyncio.to_thread(answers.segmented, self._store, ref_of(stored))

    def _name(self, wanted: artifact_pb2.ModelRef) -> str:
        """The name of a model that is here; the thread that computes with it loads it, if need be."""
        spec = resolve(wanted.name, wanted.revision, "segmenter")
        if spec.name not in self._models:
            raise ModelUnavailable(f"this segmenter does not run {spec.name!r}", model=spec.name)
        return spec.name

    def _measure(
        self, pixels: artifact_pb2.ObjectRef, name: str, wanted: Wanted, checkpoint: Checkpoint
    ) -> segmenter_pb2.MeasureObjectsResponse:
        model = self._models[name]
        diameters = []
        with self._store.local_path(pixels.key, pixels.sha256) as path, of_artifact(pixels.key):
            for region in self._processors.each(read_regions(path)):
                with self._regions, self._processors.taken():
                    checkpoint()
                    if isinstance(model, Sizing):
                        wanted = model.sized(region.pixels, region.mpp, wanted, checkpoint)
                    outlines = outline(model(region.pixels, region.mpp, wanted, checkpoint))
                    diameters.append(outlines.diameters_um(region.mpp))
        diameter_um, object_count = core.median_diameter_um(diameters)
        return segmenter_pb2.MeasureObjectsResponse(diameter_um=diameter_um, object_count=object_count)

    def _segment(self, request: segmenter_pb2.SegmentShardRequest, name: str, checkpoint: Checkpoint) -> Stored:
        model = self._models[name]
        with of_artifact(request.tiles.key):
            tiles = read_tiles(self._store.get(request.tiles.key, request.tiles.sha256))
            layout = _layout(tiles, keeps_rejected=request.params.keep_rejected)
        wanted = Wanted(
            diameter_um=request.params.diameter_um,
            min_area_um2=request.params.min_area_um2,
            calibration=_calibration(request.params.calibration),
            flows=_flow_params(request.params),
        )

        def cells_of(region: Region) -> tuple[int, core.Columns]:
            with self._regions, self._processors.taken():
                checkpoint()
                asked = wanted
                if cells:
                    with of_artifact(request.imported.key):
                        asked = replace(wanted, imported=painted_around(cells, region))
                return region.index, core.segment_region(region, layout, model, asked, checkpoint)

        pixels = request.pixels
        with (
            self._imported(request, layout.grid) as cells,
            self._store.local_path(pixels.key, pixels.sha256) as path,
            of_artifact(pixels.key),
        ):
            metadata = read_pixels_metadata(path)
            parts = dict(in_order(cells_of, self._processors.each(read_regions(path)), REGIONS_OF_A_SHARD))
        checkpoint()
        written = write_cells(core.join(list(parts.values())), _cells_metadata(metadata, request.model, parts))
        return self._store.put(request.cells_key, written)

    @contextmanager
    def _imported(self, request: segmenter_pb2.SegmentShardRequest, grid: Grid) -> Iterator[Imported | None]:
        """The cells that came with the slide, where it is these that are asked for."""
        if not request.HasField("imported"):
            yield None
            return
        ref = request.imported
        with ExitStack() as closing:
            path = closing.enter_context(self._store.local_path(ref.key, ref.sha256))
            with of_artifact(ref.key):
                cells = closing.enter_context(opened(path, grid.width_px, grid.height_px))
            yield cells


def _layout(tiles: pa.Table, *, keeps_rejected: bool) -> core.Layout:
    metadata = read_metadata(tiles)
    try:
        grid_facts = metadata["grid"]
        places = {name: grid_facts[name] for name in ("origin_x_px", "origin_y_px", "tile_px", "width_px", "height_px")}
        grid = Grid(**places, mpp=metadata["mpp"], slide_mpp=metadata["slide_mpp"])
        side, halo_px = int(grid_facts["region_tile_count"]), int(grid_facts["halo_px"])
    except (KeyError, TypeError) as error:
        raise ArtifactInvalid(f"the tiles do not say how their grid lies: {error}") from error
    kept = tiles.filter(pc.equal(tiles["verdict"].cast(pa.string()), "kept"))
    numbers, regions = kept["tile"].to_numpy(), kept["region"].to_numpy()
    kept_of = {int(region): numbers[regions == region] for region in set(regions)}
    return core.Layout(grid, side, kept_of, halo_px, keeps_rejected)


def _cells_metadata(
    pixels: Metadata, model: artifact_pb2.ModelRef, parts: Mapping[int, core.Columns]
) -> dict[str, Any]:
    truncated = {region: int((part["state"] == "truncated").sum()) for region, part in sorted(parts.items())}
    return {
        **{name: pixels[name] for name in ("mpp", "slide_mpp", "downsample")},
        "model": {"name": model.name, "revision": model.revision},
        "cell_count": sum(part["tile"].size for part in parts.values()),
        "truncated_cell_count": sum(truncated.values()),
        "regions": list(truncated),
        "truncated_regions": [region for region, count in truncated.items() if count],
    }


def _calibration(message: artifact_pb2.Calibration) -> Calibration:
    return Calibration(low=tuple(message.low), high=tuple(message.high), stain_matrix=tuple(message.stain_matrix))


def _flow_params(message: segmenter_pb2.SegmentParams) -> FlowParams:
    """Parameters of a request. Zero and empty stand for the default, except in optional fields."""
    if message.batch < 0 or message.niter < 0:
        raise InvalidArgument("batch and niter are not negative")
    dtype, thread_count = numerics_of(message.numerics)
    return FlowParams(
        flow_threshold=message.flow_threshold if message.HasField("flow_threshold") else DEFAULTS.flow_threshold,
        cellprob_threshold=message.cellprob_threshold,
        niter=message.niter,
        max_size_fraction=message.max_size_fraction or DEFAULTS.max_size_fraction,
        normalize=_normalization(message.normalize),
        augment=message.augment,
        batch=message.batch,
        channels=tuple(message.channels),
        dtype=dtype,
        thread_count=thread_count,
    )


def _normalization(name: str) -> Normalization:
    if name not in _NORMALIZATIONS:
        raise InvalidArgument(f"normalize is one of {', '.join(filter(None, _NORMALIZATIONS))}, not {name!r}")
    return _NORMALIZATIONS[name]
