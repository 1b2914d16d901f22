"""Processor seconds of the segmenter against the stock package, in one run, on one thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.measure import find_contours
from threadpoolctl import threadpool_limits

from morula.common.compute import Cores
from morula.onebox.bench.networks import family, need_networks
from morula.onebox.bench.report import Case, Report
from morula.segmenter.core import outline
from morula.segmenter.instances import Wanted
from morula.segmenter.params import FlowParams
from morula.segmenter.polygons import trace

Labels = NDArray[np.int32]

TILE_PX = 512
HALO_PX = 32
CELLS = 150
REGION_TILES = 4
ROUNDS = 5


def run() -> Report:
    """After one round that compiles and warms, the fastest of several counts."""
    need_networks()
    with threadpool_limits(limits=1):
        cv2.setNumThreads(1)
        return Report("segmenter", [*_post_processing(), *_outlines(), *_whole()])


def _post_processing() -> list[Case]:
    from cellpose import dynamics as stock

    from morula.segmenter.dynamics import DynamicsParams, find_instances

    labels = nuclei(TILE_PX, CELLS)
    flow, logits = flows_of(labels)
    theirs = _seconds(lambda: stock.resize_and_compute_masks(flow, logits))
    ours = _seconds(lambda: find_instances(flow, logits, DynamicsParams()))
    return _against("flows to masks, 512 px", theirs, ours, ">=5")


def _outlines() -> list[Case]:
    labels = nuclei(TILE_PX, CELLS)
    theirs = _seconds(lambda: per_label(labels), rounds=2)
    ours = _seconds(lambda: shapely.bounds(trace(labels)))
    return _against("masks to boxes and polygons, 512 px", theirs, ours, ">=40")


def _whole() -> list[Case]:
    """Sixteen tiles one by one against one region of them: the same weights, numbers and pixels."""
    from morula.segmenter import cellpose_sam
    from morula.segmenter.crop_backend import CropBackend, Traits
    from morula.segmenter.engine import CropQueue
    from morula.segmenter.flows import FlowModel
    from morula.segmenter.stock import stock_sam

    side = REGION_TILES * TILE_PX + 2 * HALO_PX
    region = painted(nuclei(side, CELLS * REGION_TILES**2))
    queue = CropQueue("cpu", cores=Cores(1))
    try:
        dtype = cellpose_sam.fast_dtype(queue.device)
        network, evaluate = stock_sam(2, dtype)
        starts = [HALO_PX + n * TILE_PX for n in range(REGION_TILES)]
        tiles = [region[y : y + TILE_PX, x : x + TILE_PX] for y in starts for x in starts]
        theirs = _seconds(lambda: evaluate(tiles), rounds=1, warm=False)
        fused = cellpose_sam.SamNetwork(network, "cellpose-sam", queue.device, dtype)
        traits = Traits(cellpose_sam.CROP_PX, family("cellpose-sam").channels, 30.0)
        model = FlowModel(CropBackend([fused], traits, queue))
        wanted = Wanted(flows=FlowParams(normalize="image"))
        ours = _seconds(lambda: outline(model(region, 0.5, wanted)), rounds=1, warm=False)
    finally:
        queue.close()
    return _against(
        f"16 tiles of 512 px, Cellpose-SAM of 2 blocks, {str(dtype).rpartition('.')[2]}", theirs, ours, ">=1.4"
    )


def _against(name: str, theirs: float, ours: float, bound: str) -> list[Case]:
    return [
        Case(f"{name}: stock", round(theirs, 4), "CPU-s"),
        Case(f"{name}: ours", round(ours, 4), "CPU-s"),
        Case(f"{name}: times stock", round(theirs / ours, 2), "x", bound),
    ]


def _seconds(work: Callable[[], Any], rounds: int = ROUNDS, *, warm: bool = True) -> float:
    if warm:
        work()
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best


def nuclei(side: int, count: int, seed: int = 0) -> Labels:
    """About so many ellipses that do not lie on each other."""
    random = np.random.default_rng(seed)
    labels = np.zeros((side, side), np.int32)
    number = 0
    for _ in range(20 * count):
        if number == count:
            break
        axes = random.integers(8, 14, 2)
        place = random.integers(16, side - 16, 2)
        stamp = np.zeros((32, 32), np.uint8)
        cv2.ellipse(stamp, (16, 16), [int(a) for a in axes], float(random.uniform(0, 180)), 0, 360, 1, -1)
        window = labels[place[1] - 16 : place[1] + 16, place[0] - 16 : place[0] + 16]
        if not window[stamp > 0].any():
            number += 1
            window[stamp > 0] = number
    return labels


def painted(labels: Labels, seed: int = 0) -> NDArray[np.uint8]:
    """Purple nuclei on pink, with noise."""
    random = np.random.default_rng(seed)
    colours = np.array([[230, 180, 210], [120, 80, 160]], np.float32)
    noise = random.normal(0, 8, (*labels.shape, 3)).astype(np.float32)
    pixels: NDArray[np.uint8] = np.clip(colours[(labels > 0).astype(int)] + noise, 0, 255).astype(np.uint8)
    return pixels


def flows_of(labels: Labels, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What a good network would say of these labels, a little off."""
    from cellpose import dynamics as stock

    random = np.random.default_rng(seed)
    true, _ = stock.masks_to_flows_gpu(labels)
    errors = np.stack([gaussian_filter(random.normal(0, 0.2, labels.shape), 1.5) * 4 for _ in range(2)])
    logits = np.where(labels > 0, 6.0, -6.0) + random.normal(0, 1, labels.shape)
    return ((true + errors) * 5 * (labels > 0)).astype(np.float32), logits.astype(np.float32)


def per_label(labels: Labels) -> list[tuple[NDArray[Any], list[NDArray[Any]]]]:
    """The plain way: the whole image is looked through once per cell, for its box and again for its contour."""
    found = []
    for number in range(1, int(labels.max()) + 1):
        places = np.argwhere(labels == number)
        box = np.concatenate([places.min(axis=0), places.max(axis=0)])
        found.append((box, find_contours((labels == number).astype(np.uint8), 0.5)))  # type: ignore[no-untyped-call]
    return found
