"""What the default clustering needs of many cells: a process for each size, so that its peak is its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from morula.bench.report import Case
from morula.bench.simulated_vectors import write_simulated
from morula.bench.worker import peak_bytes
from morula.clusterer import vectors

SMALL = 50_000
PEAK_GB = 8.0
EXPONENT = 1.15
CUT_S = 1.0
CLUSTERS = 37
"""Of the new cut: another number than any that was asked for before."""


def cases(cells: int, folder: Path) -> list[Case]:
    """Figures at this size, and how time grew from fifty thousand."""
    small, large = _measured(SMALL, folder), _measured(cells, folder)
    exponent = np.log(large["cpu_s"] / small["cpu_s"]) / np.log(cells / SMALL) if cells > SMALL else None
    shown = [
        Case(f"{cells:,} cells to clusters", round(large["wall_s"], 1), "s"),
        Case(f"{cells:,} cells to clusters, processor", round(large["cpu_s"], 1), "CPU-s"),
        Case(f"{SMALL:,} cells to clusters, processor", round(small["cpu_s"], 1), "CPU-s"),
        Case(f"peak memory at {cells:,} cells", round(large["peak_gb"], 2), "GB", f"<={PEAK_GB:g}"),
        Case(f"a new cut at {cells:,} cells", round(large["cut_s"], 3), "s", f"<={CUT_S:g}"),
    ]
    return shown if exponent is None else [*shown, Case("growth exponent", round(exponent, 3), "", f"<={EXPONENT}")]


def _measured(cells: int, folder: Path) -> dict[str, float]:
    path = folder / f"{cells}.npy"
    write_simulated(cells, 0, path)
    try:
        told = subprocess.run(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "morula.bench.cluster_growth", str(path)], check=True, stdout=subprocess.PIPE
        )
    finally:
        path.unlink()
    measured: dict[str, float] = json.loads(told.stdout)
    return measured


def _main(path: str) -> None:
    rows = np.load(path, mmap_mode="r")
    began, cpu = time.monotonic(), time.process_time()
    made = vectors.group(rows).board
    spent = {"wall_s": time.monotonic() - began, "cpu_s": time.process_time() - cpu}
    began = time.monotonic()
    vectors.numbered(made, CLUSTERS)
    spent["cut_s"] = time.monotonic() - began
    sys.stdout.write(json.dumps(spent | {"peak_gb": peak_bytes("self") / 1e9}))


if __name__ == "__main__":
    _main(sys.argv[1])
