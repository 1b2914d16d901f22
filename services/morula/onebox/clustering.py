"""`morula cluster`: vectors of any origin into clusters, as a job of the preset would put them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from morula.clusterer import umap_child
from morula.clusterer.vectors import Grouped, Preset, group
from morula.common.clustering import check_installed, installed, published
from morula.onebox.failures import WrongUse
from morula.onebox.results import check_out, staging
from morula.onebox.vector_files import read_vectors

ASSIGNMENTS = "assignments.parquet"
CLUSTERS = "clusters.json"


@dataclass(frozen=True)
class Request:
    """What to cluster, and how; what is None is the preset's own."""

    source: Path
    out: Path
    preset: str = "morula"
    cluster_count: int | None = None
    seed: int | None = None


def cluster(request: Request) -> dict[str, Any]:
    """Clusters and leaves both files, or neither; what clusters.json says."""
    preset = _preset(request.preset)
    there = installed()
    algorithm = published(there)
    if preset == "paper":
        check_installed(algorithm, there)
    vectors = read_vectors(request.source)
    check_out(request.out)
    made = group(vectors, preset, request.cluster_count, request.seed, steps=umap_child.steps(algorithm))
    named = {"algorithm": algorithm} if preset == "paper" else {}
    words = {"source": str(request.source), "preset": preset, **named, **made.facts, "clusters": made.clusters}
    _write(request.out, made, words)
    return words


def _preset(named: str) -> Preset:
    known: tuple[Preset, ...] = get_args(Preset)
    for preset in known:
        if preset == named:
            return preset
    raise WrongUse(f"there is no preset {named!r} to cluster vectors by; there are: {', '.join(known)}")


def _write(out: Path, made: Grouped, words: dict[str, Any]) -> None:
    columns = {
        "row": pa.array(range(len(made.cluster_id)), pa.int64()),
        "cluster_id": pa.array(made.cluster_id, pa.int32()),
        "confidence": pa.array(made.confidence, pa.float64()),
    }
    with staging(out) as folder:
        pq.write_table(pa.table(columns), folder / ASSIGNMENTS, compression="zstd")
        (folder / CLUSTERS).write_text(json.dumps(words, indent=1), encoding="utf-8")
        for name in (ASSIGNMENTS, CLUSTERS):
            (folder / name).replace(out / name)
