"""Our clusters beside those of other ways, which live in an environment of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from morula.bench.clusterer import agreement
from morula.bench.quality.described import Known
from morula.bench.quality.ways import OURS
from morula.bench.report import Case
from morula.clusterer import core, leaves, paper, plain, vectors
from morula.clusterer.arrays import squared_distances
from morula.clusterer.core import Clustered
from morula.clusterer.density import NOISE
from morula.clusterer.features import Features
from morula.clusterer.tree import PROPOSED_CLUSTERS
from morula.onebox.failures import Failure, WrongUse

THERE = ("evoc", "plscan", "leiden")
STOCK = Path(sys.prefix) / "clusterers" / "bin" / "python"
PROGRAM = Path(__file__).with_name("other_clusterers.py")
"""Run by that interpreter, never imported: what it imports is not ours."""

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Layers:
    """Clusters of all rows, the finest first, which of these the way proposes, and what they took."""

    clusters: NDArray[np.int64]
    proposed: int
    cpu_s: float


def check(names: Sequence[str]) -> None:
    """Raises where a name is unknown, or what runs them is not here."""
    for name in names:
        if name not in THERE:
            raise WrongUse(f"there is no way of clustering {name!r} to compare with; there are: {', '.join(THERE)}")
    if names and not STOCK.is_file():
        raise Failure("their packages are not here: make clusterers")


def found_by(name: str, sets: Mapping[str, Known]) -> dict[str, Layers]:
    """What one way finds in our features of every set, in one process: it compiles for minutes."""
    with tempfile.TemporaryDirectory(prefix="morula-bench-") as folder:
        given, left = Path(folder) / "in", Path(folder) / "out"
        for each in (given, left):
            each.mkdir()
        for of_set, known in sets.items():
            np.save(given / f"{of_set}.npy", known.features[OURS].matrix)
        words = [str(STOCK), str(PROGRAM), name, str(given), str(left)]
        ended = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 - a program of ours
        if ended.returncode:
            raise Failure(f"{name} could not be measured: {ended.stderr.strip().rpartition(chr(10))[2]}")
        told = json.loads(ended.stdout.strip().rpartition("\n")[2])
        return {
            of_set: Layers(np.load(left / f"{of_set}.npy"), one["proposed"], one["cpu_s"])
            for of_set, one in told.items()
        }


def board(built: Features, layers: Layers) -> Clustered:
    """The finest layer's clusters as leaves of a board like ours; what is in none goes to the nearest."""
    cluster, count = layers.clusters[0], int(layers.clusters[0].max()) + 1
    if count:
        wide = np.asarray(built.matrix, np.float32)
        centres, _ = leaves.means(built.matrix, np.where(cluster == NOISE, count, cluster), count)
        cluster = np.where(cluster == NOISE, squared_distances(wide, centres).argmin(axis=1), cluster)
    else:
        cluster = np.zeros(len(cluster), np.int64)
    nothing = np.zeros(0, np.int64)
    made = core.published_board(built, paper.Published(cluster, np.ones(len(cluster)), 0.0, False, nothing), 0)
    return replace(made, tree=replace(made.tree, cluster_count=min(PROPOSED_CLUSTERS, made.tree.leaf_count)))


def cases(known: Known, ours: Clustered, others: Mapping[str, Layers]) -> Iterator[Case]:
    """Seconds, depth, and agreement with classes: as proposed, and in about as many clusters as we propose."""
    began = time.process_time()
    core.cluster(known.features[OURS], core.Params())
    yield Case(f"{OURS}: vectors to clusters", round(time.process_time() - began, 2), "CPU-s")
    yield Case(f"{OURS}: cuts", ours.tree.leaf_count, "layers")
    yield from _worth(f"{OURS}, as proposed", vectors.numbered(ours, None), known)
    for name, layers in others.items():
        yield Case(f"{name}: vectors to clusters", round(layers.cpu_s, 2), "CPU-s")
        yield Case(f"{name}: cuts", len(layers.clusters), "layers")
        counts = layers.clusters.max(axis=1) + 1
        at_ours = int(np.abs(counts - PROPOSED_CLUSTERS).argmin())
        for when, layer in (("as proposed", layers.proposed), (f"nearest to {PROPOSED_CLUSTERS} clusters", at_ours)):
            theirs, count = layers.clusters[layer], max(1, int(counts[layer]))
            yield Case(f"{name}, {when}: clusters", int(counts[layer]), "clusters")
            yield Case(f"{name}, {when}: in none", round(float((theirs == NOISE).mean()), 4), "share")
            as_many = vectors.numbered(ours, min(count, ours.tree.leaf_count))
            for whose, clusters in (("", theirs), (f", {OURS} in as many", as_many)):
                yield from _worth(f"{name}, {when}{whose}", clusters, known)


def _worth(title: str, clusters: Rows, known: Known) -> Iterator[Case]:
    ari, named = agreement(clusters, known.classes - 1)
    yield Case(f"{title}: AMI", round(plain.adjusted_mutual_information(clusters, known.classes), 4), "AMI")
    yield Case(f"{title}: ARI", ari, "ARI")
    yield Case(f"{title}: every cluster named", named, "macro-F1")
