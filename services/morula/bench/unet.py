"""The U-Net from pixels to cells on a processor: ours against Cellpose 3's own pipeline with the same weights."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from morula.bench.report import Case, against
from morula.bench.slides import Lattice, settled_cells
from morula.common.compute import Processors
from morula.common.models import ModelSpec
from morula.networks import unet_files
from morula.networks.crop_queue import CropQueue
from morula.networks.devices import fast_dtype
from morula.onebox.failures import Failure
from morula.onebox.segmenting import calibration_of
from morula.segmenter import cellpose_unet
from morula.segmenter.instances import Wanted
from morula.segmenter.outlines import Outlines, outline
from morula.segmenter.params import FlowParams
from morula.synth.noise import Window
from morula.synth.slide import Artist, Order

SIDE_PX, MPP, SEED = 1024, 0.5, 4_000
SLIDE, SLIDE_MPP = "CMU-1-Small-Region", 0.499
ROUNDS = 2
BOUND = ">=3"
STOCK = Path(sys.prefix) / "oracles" / "bin" / "python"
PROGRAM = Path(__file__).with_name("stock_unet.py")
"""Run by that interpreter, never imported: what it imports is not ours."""


def cases(spec: ModelSpec, path: Path, stock: Path = STOCK) -> list[Case]:
    """CPU seconds of one thread for H&E at 0.5 um per px; ours ends with outlines, theirs with masks."""
    pixels = tissue()
    ours, cells = _ours(spec, path, pixels)
    name = f"pixels to cells, H&E of {SIDE_PX} px at {MPP} um per px, {spec.name}, {fast_dtype()}, CPU"
    found = Case(f"{name}: cells", len(cells.scores), "cells")
    if not stock.is_file():
        return [Case(f"{name}: ours; `make oracles` brings stock", round(ours, 4), "CPU-s"), found]
    theirs, stock_cells = _theirs(spec, path, pixels, stock)
    return [
        *against(name, theirs, ours, "CPU-s", BOUND),
        found,
        Case(f"{name}: cells of stock", stock_cells, "cells"),
    ]


def real_slide(spec: ModelSpec, path: Path, data: Path) -> list[Case]:
    """Seconds that pass on all processors until the cells of a real slide's regions are settled; none without it."""
    slide = data / "slides" / "real" / f"{SLIDE}.svs"
    if not slide.is_file():
        return []
    with tifffile.TiffFile(slide) as file:
        pixels = np.asarray(file.pages[0].asarray())
    wanted = Wanted(calibration=calibration_of(pixels))
    with _queue(Processors()) as queue:
        model = cellpose_unet.load(spec, [("network", path)], queue)
        began = time.perf_counter()
        cells = settled_cells(pixels, SLIDE_MPP, Lattice(512, 4), model, wanted)
        seconds = time.perf_counter() - began
    name = f"pixels to cells, {SLIDE}, {pixels.shape[1]} x {pixels.shape[0]} px, {spec.name}, {fast_dtype()}"
    return [Case(name, round(seconds, 1), "s", "<=60"), Case(f"{name}: cells", len(cells), "cells")]


def tissue() -> NDArray[np.uint8]:
    """Painted tissue without glass."""
    order = Order(4 * SIDE_PX, 4 * SIDE_PX, SEED, MPP, 0.9)
    start = 3 * SIDE_PX // 2
    return np.ascontiguousarray(Artist(order).block(Window(start, start, start + SIDE_PX, start + SIDE_PX)).rgb)


def _ours(spec: ModelSpec, path: Path, pixels: NDArray[np.uint8]) -> tuple[float, Outlines]:
    wanted = Wanted(flows=FlowParams(normalize="image"))
    with _queue(Processors(1)) as queue:
        model = cellpose_unet.load(spec, [("network", path)], queue)
        cells, best = outline(model(pixels, MPP, wanted)), float("inf")
        for _ in range(ROUNDS):
            began = time.process_time()
            cells = outline(model(pixels, MPP, wanted))
            best = min(best, time.process_time() - began)
    return best, cells


@contextmanager
def _queue(processors: Processors) -> Iterator[CropQueue]:
    queue = CropQueue("cpu", processors=processors)
    try:
        yield queue
    finally:
        queue.close()


def _theirs(spec: ModelSpec, path: Path, pixels: NDArray[np.uint8], stock: Path) -> tuple[float, int]:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "work.npz"
        np.savez(work, pixels=pixels, **unet_files.read(path))  # type: ignore[arg-type]
        words = [str(stock), str(PROGRAM), str(work), str(spec.object_um / MPP), str(ROUNDS + 1)]
        ended = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 - a program of ours
    if ended.returncode:
        raise Failure(f"Cellpose 3 could not be measured: {ended.stderr.strip().rpartition(chr(10))[2]}")
    answer = json.loads(ended.stdout.strip().rpartition("\n")[2])
    return float(answer["cpu_s"]), int(answer["cells"])
