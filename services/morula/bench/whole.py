"""The whole segmenter against the stock package's loop over tiles, and against what its device could do at best."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from morula.bench.known_cells import CELLS, TILE_PX, nuclei, painted
from morula.bench.report import Case, against
from morula.common.compute import Processors, go_on, in_order
from morula.common.models import families
from morula.segmenter.crops import plan
from morula.segmenter.instances import REGIONS_AT_ONCE, Model, Wanted
from morula.segmenter.outlines import outline
from morula.segmenter.params import FlowParams

if TYPE_CHECKING:
    from morula.networks.crop_queue import CropQueue
    from morula.networks.network import Network

HALO_PX = 32


@dataclass(frozen=True)
class Scale:
    """On what the segmenter is measured, and how much of it."""

    device: str
    is_gpu: bool
    """Instances are found the way of an accelerator, and seconds are its own; else they are one thread's."""
    block_count: int
    batch: int
    region_count: int
    rounds: int
    bound: str | None = None
    share_bound: str | None = None
    region_tiles: int = 4

    @property
    def unit(self) -> str:
        return "s" if self.is_gpu else "CPU-s"

    def clock(self) -> float:
        from morula.segmenter.measured import device_seconds

        return device_seconds(self.device) if self.is_gpu else time.process_time()


def scale_of(device: str) -> Scale:
    """A processor shows two blocks and one region; an accelerator all blocks, and as many regions as it is lent."""
    if device == "cpu":
        return Scale(device, is_gpu=False, block_count=2, batch=1, region_count=1, rounds=1, bound=">=1.4")
    return Scale(
        device,
        is_gpu=True,
        block_count=24,
        batch=64,
        region_count=2 * REGIONS_AT_ONCE,
        rounds=3,
        bound=">=5",
        share_bound=">=45",
    )


def cases(scale: Scale) -> list[Case]:
    """Tiles one by one against regions of them: the same weights, numbers and pixels."""
    from morula.networks.crop_queue import CropQueue
    from morula.networks.torch_runtime import fast_dtype
    from morula.segmenter import cellpose_sam
    from morula.segmenter.measured import best_seconds, crop_flop, matmul_flop_per_s
    from morula.segmenter.stock import stock_sam

    side = scale.region_tiles * TILE_PX + 2 * HALO_PX
    region = painted(nuclei(side, CELLS * scale.region_tiles**2))
    starts = [HALO_PX + n * TILE_PX for n in range(scale.region_tiles)]
    tiles = [region[y : y + TILE_PX, x : x + TILE_PX] for y in starts for x in starts]
    queue = CropQueue(scale.device, scale.batch, Processors() if scale.is_gpu else Processors(1))
    try:
        dtype = fast_dtype(scale.device)
        network, evaluate = stock_sam(scale.block_count, dtype, scale.device)
        theirs = best_seconds(lambda: evaluate(tiles), scale.clock, scale.rounds, warm=scale.is_gpu)
        fused = cellpose_sam.sam_network(network, "cellpose-sam", queue.device, dtype)
        ours = _region_seconds(region, fused, queue, scale)
        alone = _crop_seconds(fused, queue, scale)
    finally:
        queue.close()
    shown = f"Cellpose-SAM of {scale.block_count} blocks, {str(dtype).rpartition('.')[2]}, {scale.device}"
    best_s = crop_flop(scale.block_count) / matmul_flop_per_s(scale.device, dtype, scale.clock)
    crop_s = ours / plan(side, side, cellpose_sam.CROP_PX).crop_count
    return [
        *against(f"{len(tiles)} tiles of {TILE_PX} px, {shown}", theirs, ours, scale.unit, scale.bound),
        Case(f"{shown}: of the roofline", round(100 * best_s / crop_s, 1), "%", scale.share_bound),
        Case(f"{shown}: of the roofline, network alone", round(100 * best_s / alone, 1), "%"),
    ]


def on_gpu(scale: Scale, flow: NDArray[np.float32], logits: NDArray[np.float32]) -> list[Case]:
    """Flows to masks on the device, by stock and by us."""
    from morula.segmenter.measured import best_seconds, gpu_masks, stock_masks

    theirs, ours = (
        best_seconds(lambda way=way: way(flow, logits, scale.device), scale.clock, 5)  # type: ignore[misc]
        for way in (stock_masks, gpu_masks)
    )
    return against(f"flows to masks, {flow.shape[1]} px, {scale.device}", theirs, ours, scale.unit)


def _region_seconds(region: NDArray[np.uint8], network: Network, queue: CropQueue, scale: Scale) -> float:
    """Seconds per region; several are worked on beside each other, as by the service."""
    from morula.segmenter.cellpose_sam import CROP_PX
    from morula.segmenter.crop_backend import CropBackend, Traits
    from morula.segmenter.flows import FlowModel, Flows
    from morula.segmenter.gpu import GpuFlows
    from morula.segmenter.measured import best_seconds

    traits = Traits(CROP_PX, families()["cellpose-sam"].channels, 30.0)
    finish = GpuFlows if scale.is_gpu else Flows.of
    model: Model = FlowModel(CropBackend([network], traits, queue, finish=finish))
    wanted = Wanted(flows=FlowParams(normalize="image"))

    def segment() -> list[Any]:
        regions = [region] * scale.region_count
        return list(in_order(lambda pixels: outline(model(pixels, 0.5, wanted)), regions, REGIONS_AT_ONCE))

    return best_seconds(segment, scale.clock, scale.rounds, warm=scale.is_gpu) / scale.region_count


def _crop_seconds(network: Network, queue: CropQueue, scale: Scale) -> float:
    """Seconds per crop of the network in full batches."""
    from morula.segmenter.cellpose_sam import CROP_PX
    from morula.segmenter.measured import best_seconds

    crops = np.zeros((4 * scale.batch, 3, CROP_PX, CROP_PX), np.float32)
    return best_seconds(lambda: queue.run(network, crops, go_on), scale.clock, scale.rounds) / len(crops)
