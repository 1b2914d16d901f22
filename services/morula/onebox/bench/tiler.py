"""`morula bench tiler`: what a kept tile costs beside the plain way, what is never read, memory and growth."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2

from morula.onebox.bench.laid import Laid, lay_slide
from morula.onebox.bench.plain import our_way, plain_way
from morula.onebox.bench.report import Case, Report

MPP = 0.5
PLAIN_TILES = 150
COMPARED = {
    "aligned_native": (Laid(40_960), 512, ">=50"),
    "svs_240_px_tiles": (Laid(30_720, tile_px=240, aperio=True), 512, ">=8"),
    "40x_to_0.5_mpp": (Laid(20_480, mpp=0.25), 1024, ">=8"),
}
SPARSE = Laid(20_480, tissue_fraction=0.1)
GROWING_PX = (10_240, 20_480, 40_960)
MEMORY_BOUND_MIB = "<=1500"
REPEATS = 3
WORKER_ROUNDS = 5


def run() -> Report:
    """All figures of the stage; one thread, CPU time wherever wall time is not said."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with tempfile.TemporaryDirectory(prefix="morula-bench-") as scratch:
            folder = Path(scratch)
            cases = [case for name in COMPARED for case in _compared(name, folder)]
            cases += [*_memory(folder), *_growth(folder), *_workers(folder)]
    finally:
        cv2.setNumThreads(threads)
    return Report("tiler", cases)


def _compared(name: str, folder: Path) -> list[Case]:
    """Both ways over one slide; the plain one on tiles drawn at random, because it takes minutes."""
    laid, edge_px, bound = COMPARED[name]
    path = lay_slide(folder / f"{name}.{'svs' if laid.aperio else 'tiff'}", laid)
    ours = min((our_way(path, folder, MPP) for _ in range(REPEATS)), key=lambda cut: cut.cpu_s)
    plain, tile_count = plain_way(path, folder, edge_px, PLAIN_TILES)
    path.unlink()
    differing = (plain.kept ^ ours.kept) & plain.read
    cases = [
        Case(f"{name}_plain", round(plain.cpu_per_kept_ms, 2), "ms/kept tile"),
        Case(f"{name}_ours", round(ours.cpu_per_kept_ms, 3), "ms/kept tile"),
        Case(f"{name}_faster", round(plain.cpu_per_kept_ms / ours.cpu_per_kept_ms, 1), "x", bound),
        Case(f"{name}_lost", len(plain.kept - ours.kept), "tiles", "<=0"),
    ]
    if laid.mpp == MPP:  # Where both ways see the same pixels they must decide the same.
        cases.append(Case(f"{name}_decided_otherwise", len(differing), "tiles", "<=0"))
        cases.append(Case(f"{name}_never_read", round(1 - len(ours.read) / tile_count, 3), "share", ">=0.5"))
    return cases


def _memory(folder: Path) -> list[Case]:
    path = lay_slide(folder / "sparse.tiff", SPARSE)
    peak = _child("cut", path)["peak_mib"]
    path.unlink()
    return [Case(f"memory_{SPARSE.side_px}_px_sparse", round(peak), "MiB", MEMORY_BOUND_MIB)]


def _growth(folder: Path) -> list[Case]:
    """CPU time per tile of the grid on slides of one layout and three sizes."""
    cases, costs, peaks = [], [], []
    for side in GROWING_PX:
        path = lay_slide(folder / f"{side}.tiff", Laid(side))
        runs = [_child("cut", path) for _ in range(REPEATS)]
        path.unlink()
        costs.append(min(run["cpu_s"] for run in runs) / (side / 512) ** 2 * 1000)
        peaks.append(max(run["peak_mib"] for run in runs))
        cases.append(Case(f"{side}_px", round(costs[-1], 4), "ms/tile of the grid"))
    return [
        *cases,
        Case("growth_10k_to_20k", round(costs[1] / costs[0], 3), "cost per tile", "<=1.15"),
        Case("growth_20k_to_40k", round(costs[2] / costs[1], 3), "cost per tile", "<=1.15"),
        Case("memory_40k_to_20k", round(peaks[2] / peaks[1], 3), "x", "<=1.5"),
    ]


def _workers(folder: Path) -> list[Case]:
    """Wall time of the same shards by one process and by two, beside processes that only decode JPEG tiles."""
    path = lay_slide(folder / "workers.tiff", Laid(20_480))
    walls: dict[tuple[str, int], float] = {}
    for _ in range(WORKER_ROUNDS):  # In turns, so that other work on the machine meets all of them.
        for what, count in ((what, count) for what in ("cut", "decode") for count in (1, 2)):
            wall_s = max(run["wall_s"] for run in _children(what, path, count))
            walls[what, count] = min(wall_s, walls.get((what, count), wall_s))
    path.unlink()
    sped = {what: walls[what, 1] / walls[what, 2] for what in ("cut", "decode")}
    return [
        Case("two_workers", round(sped["cut"], 2), "x"),
        Case("two_decoders", round(sped["decode"], 2), "x"),
        Case("two_workers_to_decoders", round(sped["cut"] / sped["decode"], 3), "x", ">=0.9"),
    ]


def _child(what: str, path: Path) -> dict[str, float]:
    return _children(what, path, 1)[0]


def _children(what: str, path: Path, count: int) -> list[dict[str, float]]:
    """Processes that share the work, each with what it took."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "morula.onebox.bench.tile_worker", what, str(path), str(count)]
    running = [
        subprocess.Popen([*command, str(number)], env=environment, stdout=subprocess.PIPE)  # noqa: S603 - our own module
        for number in range(count)
    ]
    answers = []
    for child in running:
        said, _ = child.communicate()
        if child.returncode:
            raise RuntimeError(f"a worker ended with {child.returncode}")
        answers.append(json.loads(said))
    return answers
