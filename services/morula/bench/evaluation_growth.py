"""What `morula evaluate` needs of many cells: a process of its own, so that its peak is its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from morula.bench.report import Case
from morula.bench.worker import peak_bytes
from morula.onebox.evaluating import Request, run

SLIDES = 200
TILES = 50
CLASSES, CLUSTERS = 8, 40
RIGHT = 0.8
PEAK_GB = 2.0
WALL_S = 600
ASSIGNMENTS, TRUTH, OUT = "assignments.parquet", "truth.csv", "out"


def cases(cells: int, folder: Path) -> list[Case]:
    """Time by the clock and peak memory, from the files to the report."""
    _write(cells, folder)
    told = subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "morula.bench.evaluation_growth", str(folder)], check=True, stdout=subprocess.PIPE
    )
    spent: dict[str, float] = json.loads(told.stdout)
    named = f"{cells:,} cells of {SLIDES} slides"
    return [
        Case(f"{named}, {CLUSTERS} clusters, {CLASSES} classes, to a report", round(spent["wall_s"], 1), "s",
             f"<={WALL_S}"),
        Case(f"peak memory of {named}", round(spent["peak_gb"], 2), "GB", f"<={PEAK_GB:g}"),
    ]  # fmt: skip


def _write(cells: int, folder: Path) -> None:
    rng = np.random.default_rng(0)
    truth = rng.choice(CLASSES, cells, p=(shares := 0.6 ** np.arange(CLASSES)) / shares.sum())
    own = truth + CLASSES * rng.integers(0, CLUSTERS // CLASSES, cells)
    cluster = np.where(rng.random(cells) < RIGHT, own, rng.integers(0, CLUSTERS, cells)) + 1
    numbers = rng.integers(0, 256, (cells, 16), np.uint8)
    ids = pa.array([str(uuid.UUID(bytes=one.tobytes())) for one in numbers])
    assigned = {"cell_id": ids, "cluster_id": pa.array(cluster, pa.int32()), "confidence": rng.random(cells)}
    pq.write_table(pa.table(assigned), folder / ASSIGNMENTS)
    words = {"cell_id": ids, "class": truth, "slide": np.arange(cells) % SLIDES, "tile": rng.integers(0, TILES, cells)}
    csv.write_csv(pa.table({**words, "batch": np.arange(cells) % SLIDES % 3}), folder / TRUTH)


def _main(folder: Path) -> None:
    began = time.monotonic()
    run(Request(folder / ASSIGNMENTS, folder / TRUTH, folder / OUT))
    sys.stdout.write(json.dumps({"wall_s": time.monotonic() - began, "peak_gb": peak_bytes("self") / 1e9}))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
