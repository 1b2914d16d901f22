"""`morula bench tiler`: what a kept tile costs beside the plain way, what is never read, memory and growth."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
from threadpoolctl import threadpool_limits

from morula.bench.large_slides import LargeSlide, write_large_slide
from morula.bench.plain import our_way, plain_way
from morula.bench.report import Case, Report
from morula.bench.tile_growth import growth, two_workers
from morula.bench.tile_worker import work

MPP = 0.5
PLAIN_TILES = 150
COMPARED = {
    "aligned_native": (LargeSlide(40_960), 512, ">=50"),
    "svs_240_px_tiles": (LargeSlide(30_720, tile_px=240, aperio=True), 512, ">=8"),
    "40x_to_0.5_mpp": (LargeSlide(20_480, mpp=0.25), 1024, ">=8"),
}
SPARSE = LargeSlide(20_480, tissue_fraction=0.1)
MEMORY_BOUND_MIB = "<=1500"
REPEATS = 3


def run() -> Report:
    """All figures of the stage; one thread, CPU time wherever wall time is not said."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(limits=1), tempfile.TemporaryDirectory(prefix="morula-bench-") as scratch:
            folder = Path(scratch)
            cases = [case for name in COMPARED for case in _compared(name, folder)]
            cases += [*_memory(folder), *growth(folder), *two_workers(folder)]
    finally:
        cv2.setNumThreads(threads)
    return Report("tiler", cases)


def _compared(name: str, folder: Path) -> list[Case]:
    """Both ways over one slide; the plain one on tiles drawn at random, because it takes minutes."""
    slide, edge_px, bound = COMPARED[name]
    path = write_large_slide(folder / f"{name}.{'svs' if slide.aperio else 'tiff'}", slide)
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
    if slide.mpp == MPP:  # Where both ways see the same pixels they must decide the same.
        cases.append(Case(f"{name}_decided_otherwise", len(differing), "tiles", "<=0"))
        cases.append(Case(f"{name}_never_read", round(1 - len(ours.read) / tile_count, 3), "share", ">=0.5"))
    return cases


def _memory(folder: Path) -> list[Case]:
    path = write_large_slide(folder / "sparse.tiff", SPARSE)
    peak = work("slide", path)[0].peak_mib
    path.unlink()
    return [Case(f"memory_{SPARSE.side_px}_px_sparse", round(peak), "MiB", MEMORY_BOUND_MIB)]
