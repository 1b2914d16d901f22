"""Vectors that come without a slide, clustered: their scale is their own, for there is no reference to take it from.

A few columns may each have a unit of their own, and are scaled one by one. Many come from a network and share theirs:
one scale for all keeps what separates rows larger than what does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from morula.clusterer import core, leaves, paper
from morula.clusterer.arrays import Doubles, Floats, Halves, Rows, chunks, squared_distances
from morula.clusterer.density import NOISE
from morula.clusterer.features import MAX_OWN_COLUMNS, Features, Scale, SlideVectors, build
from morula.clusterer.tree import Tree
from morula.common.compute import Checkpoint, go_on
from morula.common.errors import InvalidArgument
from morula.common.formats import NOISE_LEAF

Preset = Literal["morula", "paper"]
Vectors = NDArray[Any]
"""Rows of real numbers; a file's, left on disk, too."""
SHOWN = 9


@dataclass(frozen=True)
class Grouped:
    """Vectors in clusters, which are numbered from 1 by size."""

    cluster_id: Rows
    """0 for a row that is in none."""
    confidence: Doubles
    clusters: list[dict[str, Any]]
    facts: dict[str, Any]
    """What else there is to say of the whole."""
    board: core.Clustered
    """The same of usable rows, with its tree: cut it elsewhere."""


def group(
    vectors: Vectors,
    preset: Preset = "morula",
    cluster_count: int | None = None,
    seed: int | None = None,
    checkpoint: Checkpoint = go_on,
    steps: paper.Steps = paper.ON_PROCESSOR,
) -> Grouped:
    """Clusters rows as jobs of the preset do; rows with numbers that are not finite are in no cluster."""
    usable = paper.finite_rows(vectors)
    inside = np.flatnonzero(usable)
    if not len(inside):
        raise InvalidArgument(f"none of the {len(vectors)} rows holds finite numbers alone")
    with threadpool_limits(1):
        features = _features(vectors, usable, checkpoint)
    facts: dict[str, Any] = {"cell_count": len(vectors), "unusable_rows": np.flatnonzero(~usable).tolist()}
    if preset == "paper":
        seed = paper.SEED if seed is None else seed
        with threadpool_limits(1):
            published = paper.cluster(vectors, 0.0, seed, steps, checkpoint)
        facts |= {"eps": published.eps, "space": "umap" if published.is_mapped else "unit vectors"}
        confidence = published.confidence[inside]
        kept = replace(published, cluster=published.cluster[inside], confidence=confidence)
        made = core.published_board(features, kept, seed, checkpoint)
    else:
        seed = 0 if seed is None else seed
        leaf_count = cluster_count if (cluster_count or 0) > leaves.DEFAULT_LEAVES else 0
        made = core.cluster(features, core.Params(leaf_count or 0, seed), checkpoint)
        confidence = made.confidence / 255.0
    cluster_id = numbered(made, cluster_count)
    facts |= {
        "noise_count": len(vectors) - int((cluster_id != NOISE).sum()),
        "seed": seed,
        "structure_found": made.tree.structure.found,
    }
    shown = _described(features.matrix, cluster_id, inside)
    return Grouped(
        _over_all(np.maximum(cluster_id, 0), inside, usable), _over_all(confidence, inside, usable), shown, facts, made
    )


def _over_all(values: NDArray[Any], inside: Rows, usable: NDArray[np.bool_]) -> NDArray[Any]:
    result = np.zeros(len(usable), values.dtype)
    result[inside] = values
    return result


def own_scale(vectors: Vectors, usable: NDArray[np.bool_], checkpoint: Checkpoint = go_on) -> Scale:
    """Mean of each column over usable rows, and its standard deviation, or the largest one for all of many columns."""
    count, mean, squares = 0, np.zeros(vectors.shape[1]), np.zeros(vectors.shape[1])
    for rows in chunks(*vectors.shape):
        checkpoint()
        wide = np.asarray(vectors[rows], np.float64)[usable[rows]]
        if len(wide):
            middle = wide.mean(axis=0)
            off = middle - mean
            total = count + len(wide)
            squares += np.square(wide - middle).sum(axis=0) + off**2 * (count * len(wide) / total)
            mean += off * (len(wide) / total)
            count = total
    width = np.sqrt(squares / max(1, count))
    # What is the same in all rows says nothing, however it is scaled.
    constant = width <= 1e-6 * np.abs(mean) + 1e-30
    if len(width) > MAX_OWN_COLUMNS:
        width[:] = width.max()
    width[constant] = 1.0
    columns = tuple(f"column_{number}" for number in range(1, vectors.shape[1] + 1))
    return Scale(columns, tuple(mean.tolist()), tuple(width.tolist()))


def _features(vectors: Vectors, usable: NDArray[np.bool_], checkpoint: Checkpoint) -> Features:
    scale = own_scale(vectors, usable, checkpoint)
    nowhere = np.zeros(len(vectors))
    made = build([SlideVectors(vectors, nowhere, nowhere)], scale, 0)
    return made if usable.all() else replace(made, matrix=made.matrix[usable])


def numbered(made: core.Clustered, cluster_count: int | None) -> Rows:
    """Cluster of each row by the cut, the largest first."""
    grown: Tree = made.tree
    if cluster_count is not None and cluster_count > grown.leaf_count:
        raise InvalidArgument(
            f"these rows come apart into {grown.leaf_count} clusters at most, fewer than {cluster_count}"
        )
    nodes = np.asarray(grown.node_of_leaf(cluster_count or grown.cluster_count), np.int64)
    inside = made.leaf != NOISE_LEAF
    found, place, sizes = np.unique(nodes[made.leaf[inside]], return_inverse=True, return_counts=True)
    number = np.empty(len(found), np.int64)
    number[np.argsort(-sizes, kind="stable")] = np.arange(1, len(found) + 1)
    numbered = np.full(len(made.leaf), NOISE, np.int64)
    numbered[inside] = number[place]
    return numbered


def _described(matrix: Halves, cluster_id: Rows, rows: Rows) -> list[dict[str, Any]]:
    """Size of each cluster, and rows that are typical of it, that lie on its border, and that lie farthest out."""
    count = int(cluster_id.max(initial=0))
    centres, sizes = leaves.means(matrix, np.where(cluster_id == NOISE, count, cluster_id - 1), count)
    own, other = _distances(matrix, centres, cluster_id)
    described = []
    for number in range(1, count + 1):
        members = np.flatnonzero(cluster_id == number)
        orders: Mapping[str, Floats] = {
            "typical_rows": own[members],
            "borderline_rows": other[members] - own[members],
            "outlying_rows": -own[members],
        }
        if count == 1:
            orders = {**orders, "borderline_rows": np.zeros(0, np.float32)}  # There is no border.
        shown = {name: rows[members[np.argsort(by, kind="stable")[:SHOWN]]].tolist() for name, by in orders.items()}
        described.append({"cluster_id": number, "cell_count": int(sizes[number - 1]), **shown})
    return described


def _distances(matrix: Halves, centres: Floats, cluster_id: Rows) -> tuple[Floats, Floats]:
    """Of each row to the middle of its cluster, and to the nearest of another."""
    own, other = np.zeros(len(matrix), np.float32), np.full(len(matrix), np.inf, np.float32)
    for part in chunks(len(matrix)):
        apart = np.sqrt(squared_distances(matrix[part].astype(np.float32), centres))
        inside = np.flatnonzero(cluster_id[part] != NOISE)
        column = cluster_id[part][inside] - 1
        own[part.start + inside] = apart[inside, column]
        apart[inside, column] = np.inf
        other[part] = apart.min(axis=1, initial=np.inf)
    return own, other
