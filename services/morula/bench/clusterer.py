"""`morula bench clusterer`: our clusters beside the published ones, called plainly, on the same vectors in one run.

`--cells N` looks at size instead: peak memory, how time grows, and a new cut, on a matrix that lies on disk.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morula.bench import cluster_growth
from morula.bench.report import Case, Report, against
from morula.bench.simulated_vectors import simulated
from morula.clusterer import paper, plain, vectors
from morula.common.clustering import UMAP_DBSCAN, check_installed, installed
from morula.common.scores import macro_f1

CELLS = 50_000
SEED = 0
WARM = 5000
"""Rows from which umap-learn takes the way of large tables."""
AT_LEAST = 10.0


@dataclass(frozen=True)
class _Measured:
    made: Any
    cpu_s: float


def run(cells: int | None = None) -> Report:
    """The comparison, or what a table of so many cells needs."""
    if cells is not None:
        with tempfile.TemporaryDirectory(prefix="morula-bench-") as folder:
            return Report("clusterer", cluster_growth.cases(cells, Path(folder)))
    check_installed(UMAP_DBSCAN, installed())
    return Report("clusterer", compared(CELLS))


def compared(cells: int) -> list[Case]:
    """Processor seconds and what the clusters are worth."""
    rows, kind = simulated(cells, SEED)
    paper.umap(rows[:WARM].astype(np.float32), SEED)  # What is compiled at the first call is not measured.
    theirs = _measured(lambda: plain.paper(rows))
    dense = _measured(lambda: plain.of_space(theirs.made.space))
    exact = _measured(lambda: paper.cluster_space(theirs.made.space))
    ours = _measured(lambda: vectors.group(rows))
    known = kind >= 0
    their_count = int(theirs.made.labels.max()) + 1
    their_ari, their_f1 = agreement(theirs.made.labels[known], kind[known])
    # Who names as many of our clusters as there are of theirs has named as often.
    our_ari, our_f1 = agreement(vectors.numbered(ours.made.board, their_count)[known], kind[known])
    default_ari, default_f1 = agreement(ours.made.cluster_id[known], kind[known])
    return [
        *against(f"{cells:,} cells to clusters", theirs.cpu_s, ours.cpu_s, "CPU-s", f">={AT_LEAST:g}"),
        Case("clusters: stock", their_count, "clusters"),
        Case("ARI: stock", their_ari, ""),
        Case("ARI: ours, as many clusters", our_ari, "", f">={their_ari}"),
        Case("macro-F1 of named clusters: stock", their_f1, ""),
        Case("macro-F1 of named clusters: ours, as many clusters", our_f1, "", f">={their_f1}"),
        Case("ARI: ours, as proposed", default_ari, ""),
        Case("macro-F1 of named clusters: ours, as proposed", default_f1, ""),
        *against(f"knee and DBSCAN of {cells:,} places", dense.cpu_s, exact.cpu_s, "CPU-s"),
        Case("rows with another label than stock", int((exact.made[1] != theirs.made.labels).sum()), "rows", "<=0"),
    ]


def agreement(clusters: NDArray[np.int64], kind: NDArray[np.int64]) -> tuple[float, float]:
    """ARI, and macro-F1 where every cluster, and what is in none, takes the name of most of its rows."""
    _, place = np.unique(clusters, return_inverse=True)
    counts = np.zeros((int(place.max()) + 1, int(kind.max()) + 1), np.int64)
    np.add.at(counts, (place, kind), 1)
    named = counts.argmax(axis=1)[place]
    return round(plain.adjusted_rand(clusters, kind), 4), round(macro_f1(kind + 1, named + 1), 4)


def _measured(work: Callable[[], Any]) -> _Measured:
    began = time.process_time()
    made = work()
    return _Measured(made, time.process_time() - began)
