"""The embedder against the published system's way, in one run: crops and ResNet-50, CPU time of one thread per cell."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from morula.bench.networks import need_networks
from morula.bench.report import Case, Report, against
from morula.bench.unet import MPP, tissue
from morula.common.compute import Processors
from morula.common.models import families
from morula.common.pixels import Region
from morula.common.stain import Staining
from morula.embedder.instances import RegionCells
from morula.embedder.network_embedder import NetworkEmbedder, views_of
from morula.networks import backbones
from morula.networks.backbone_runtimes import backbone
from morula.networks.crop_queue import CropQueue
from morula.networks.devices import fast_dtype
from morula.networks.dtypes import Dtype
from morula.networks.files import State
from morula.onebox.failures import Failure

FAMILY = "resnet50"
CELLS, ROUNDS = 48, 3
SEED = 5_000
LEAST_PX, MOST_PX = 10, 40
BOUNDS: dict[Dtype, str] = {"float32": ">=2.3", "bfloat16": ">=4.5"}
LEAST_COSINE: dict[Dtype, str | None] = {"float32": ">=0.9999", "bfloat16": None}
"""Weights here are random: what bfloat16 does to vectors of a trained network is not seen by them."""


@dataclass(frozen=True)
class Work:
    """What both embed."""

    cells: RegionCells
    boxes: NDArray[np.int64]
    state: State


def run(cell_count: int = CELLS, rounds: int = ROUNDS) -> Report:
    """Random weights: they cost what trained ones do."""
    need_networks()
    work = make_work(cell_count)
    theirs, least_s, expected = _theirs(work, rounds)
    cases: list[Case] = []
    dtypes: list[Dtype] = ["float32", "bfloat16"] if fast_dtype() == "bfloat16" else ["float32"]
    for dtype in dtypes:
        ours, vectors = _ours(work, dtype, rounds)
        name = f"crops and ResNet-50, {cell_count} cells, {dtype}"
        stock_ms, our_ms = (1000 * seconds / cell_count for seconds in (theirs, ours))
        cases += against(name, stock_ms, our_ms, "CPU-ms per cell", BOUNDS[dtype])
        least_ms = 1000 * least_s[dtype]
        cases.append(Case(f"{name}: of the roofline", round(100 * least_ms / our_ms, 1), "%"))
        cases.append(Case(f"{name}: times stock at the roofline", round(stock_ms / least_ms, 2), "x"))
        cosine = (vectors * expected).sum(axis=1) / np.linalg.norm(expected, axis=1)
        cases.append(Case(f"{name}: least cosine with stock", round(float(cosine.min()), 6), "", LEAST_COSINE[dtype]))
    return Report("embedder", cases)


def make_work(cell_count: int) -> Work:
    """Painted tissue, boxes of cells in it, and a network whose numbers stay about one from layer to layer."""
    rng = np.random.default_rng(SEED)
    pixels = tissue()
    sides = rng.integers(LEAST_PX, MOST_PX + 1, (cell_count, 2))
    corners = rng.integers(0, pixels.shape[0] - MOST_PX, (cell_count, 2))
    boxes = np.concatenate([corners, corners + sides], axis=1)
    state = untrained(FAMILY, rng)
    region = Region(0, 0.0, 0.0, 1.0, pixels, 0, MPP, MPP)
    labels = np.zeros(pixels.shape[:2], np.int32)
    return Work(RegionCells(region, shapely.box(*boxes.T), labels, Staining(), {}), boxes, state)


def untrained(family: str, rng: np.random.Generator) -> State:
    """A backbone of random numbers, which stay about one from layer to layer."""
    return {name: _random(name, shape, rng) for name, shape in backbones.shapes(family).items()}


def _random(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    if len(shape) > 1:
        return rng.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape).astype(np.float32)
    # The last norm of a block counts less, as in training, so that what is added up does not grow.
    value = 0.0 if name.endswith(("bias", "running_mean")) else 0.3 if ".bn3.weight" in name else 1.0
    return np.full(shape, value, np.float32)


def _ours(work: Work, dtype: Dtype, rounds: int) -> tuple[float, NDArray[np.float32]]:
    with _queue() as queue, threadpool_limits(limits=1):
        cv2.setNumThreads(1)
        network = backbone(FAMILY, work.state, FAMILY, queue.device)
        model = NetworkEmbedder(network, queue, views_of(families()[FAMILY])).computing(dtype, 1)
        vectors, best = model(work.cells, lambda: None), float("inf")
        for _ in range(rounds):
            began = time.process_time()
            vectors = model(work.cells, lambda: None)
            best = min(best, time.process_time() - began)
    return best, vectors


@contextmanager
def _queue() -> Iterator[CropQueue]:
    queue = CropQueue("cpu", processors=Processors(1))
    try:
        yield queue
    finally:
        queue.close()


def _theirs(work: Work, rounds: int) -> tuple[float, dict[Dtype, float], NDArray[np.float32]]:
    """Seconds of all cells, the least that the processor could do a cell in, and vectors."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "work.npz"
        np.savez(path, pixels=work.cells.region.pixels, boxes=work.boxes, **work.state)  # type: ignore[arg-type]
        words = [sys.executable, "-m", "morula.bench.stock_resnet50", str(path), str(rounds)]
        ended = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 - a program of ours
        if ended.returncode:
            raise Failure(f"torchvision could not be measured: {ended.stderr.strip().rpartition(chr(10))[2]}")
        vectors: NDArray[np.float32] = np.load(path.with_suffix(".npy"))
    answer = json.loads(ended.stdout.strip().rpartition("\n")[2])
    return float(answer["cpu_s"]), answer["least_cell_s"], vectors
