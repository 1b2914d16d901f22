"""What a measurement asks of a device: its time, its best, and the stock package's work beside ours on it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from cellpose import dynamics as stock
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from morula.segmenter import gpu
from morula.segmenter.cellpose_sam import CROP_PX, published
from morula.segmenter.dynamics import DynamicsParams

Clock = Callable[[], float]
Numbers = NDArray[np.float32]


def device_seconds(device: str) -> float:
    """Wall time, once all is done that was asked of an accelerator."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def best_seconds(work: Callable[[], Any], clock: Clock, rounds: int, *, warm: bool = True) -> float:
    """Seconds of the fastest round, after one that compiles and warms."""
    if warm:
        work()
    best = float("inf")
    for _ in range(rounds):
        began = clock()
        work()
        best = min(best, clock() - began)
    return best


def crop_flop(block_count: int) -> int:
    """FLOP that the published Cellpose-SAM of so many blocks does for a crop; what ours does beyond does not count."""
    network = published(block_count).eval()
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, CROP_PX, CROP_PX, device="meta"))
    flop: int = counter.get_total_flops()
    return flop


def matmul_flop_per_s(device: str, dtype: torch.dtype, clock: Clock) -> float:
    """FLOP per second of a large product of matrices, the best that the device shows."""
    side = 8192 if torch.device(device).type == "cuda" else 2048
    one, other = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return 2 * side**3 / best_seconds(lambda: one @ other, clock, 5)


def stock_masks(flow: Numbers, logits: Numbers, device: str) -> Any:
    return stock.resize_and_compute_masks(flow, logits, device=torch.device(device))


def gpu_masks(flow: Numbers, logits: Numbers, device: str) -> NDArray[np.int32]:
    """Masks by the way of a device, to which the flows are copied first, as stock does it."""
    tensors = [torch.from_numpy(array).to(device) for array in (flow, logits)]
    return gpu.instances(tensors[0], tensors[1], DynamicsParams()).labels
