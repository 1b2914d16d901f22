"""Vectors to clusters: leaves, one tree over them, what each node shows, and whether there is structure at all."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from morula.clusterer import leaves, null_test, paper
from morula.clusterer.arrays import Bytes, Halves, Leaves
from morula.clusterer.density import NOISE
from morula.clusterer.describe import described
from morula.clusterer.features import Features, Projection
from morula.clusterer.layout import layout
from morula.clusterer.leaves import LeafModel
from morula.clusterer.proposal import proposed_count
from morula.clusterer.tree import Structure, Tree, ward, whole
from morula.common.clustering import IMPORTED, LAYOUTS, PACKAGES, UMAP_DBSCAN
from morula.common.compute import Checkpoint, go_on
from morula.common.errors import InvalidArgument
from morula.common.formats import NOISE_LEAF

STAGES = ("leaves", "assignment", "tree", "structure", "layout")
PUBLISHED_STAGES = ("map and clusters", "tree", "structure", "layout")

MAX_NEIGHBOURS = 64
DEFAULT_NEIGHBOURS = 8

Report = Callable[[int, int, str], None]
"""Told how many steps are done, of how many, and which comes now."""


@dataclass(frozen=True)
class Params:
    """How to cluster: the contract's parameters by their names, where 0 is the default."""

    leaf_count: int = 0
    seed: int = 0
    neighbour_count: int = 0
    """-1 for none."""
    algorithm: str = ""
    eps: float = 0.0
    layout: str = ""

    def __post_init__(self) -> None:
        ways = (*PACKAGES, IMPORTED)
        if self.algorithm and self.algorithm not in ways:
            raise InvalidArgument(f"there is no way of clustering {self.algorithm!r}; there are: {', '.join(ways)}")
        if self.layout and self.layout not in LAYOUTS.values():
            raise InvalidArgument(f"there is no layout {self.layout!r}; there are: {', '.join(LAYOUTS.values())}")
        if not (0 <= self.eps < math.inf) or (self.eps and self.algorithm not in PACKAGES):
            raise InvalidArgument(f"eps is a positive number, or 0 for the knee, and of {UMAP_DBSCAN} alone")
        if self.leaf_count and self.algorithm:
            raise InvalidArgument(f"{self.algorithm} finds out by itself how many clusters there are: no leaf_count")
        if not 0 <= self.leaf_count <= leaves.MAX_LEAVES:
            raise InvalidArgument(f"leaf_count must lie in 1 to {leaves.MAX_LEAVES}")
        if not -1 <= self.neighbour_count <= MAX_NEIGHBOURS:
            raise InvalidArgument(f"neighbour_count must lie in -1 to {MAX_NEIGHBOURS}")

    @property
    def neighbours(self) -> int:
        """So many neighbours there are."""
        return {0: DEFAULT_NEIGHBOURS, -1: 0}.get(self.neighbour_count, self.neighbour_count)


@dataclass(frozen=True)
class Grouped:
    """Leaf and confidence of each row, where leaves lie, and the tree."""

    leaf: Leaves
    confidence: Bytes
    model: LeafModel
    tree: Tree


@dataclass(frozen=True)
class Clustered:
    """Leaf, confidence and layout of each row, and the tree."""

    leaf: Leaves
    confidence: Bytes
    layout: Halves
    tree: Tree


@dataclass(frozen=True)
class Came:
    """Cluster of each row as it came with its cell, below 0 for none, and how sure it was there."""

    cluster: NDArray[np.int32]
    confidence: NDArray[np.float32]


def silent(_done: int, _total: int, _stage: str) -> None:
    """Tells nobody."""


def at_once(_done: int) -> None:
    """Steps of which nobody is told."""


def cluster(
    features: Features,
    params: Params,
    checkpoint: Checkpoint = go_on,
    report: Report = silent,
    known: NDArray[np.bool_] | None = None,
) -> Clustered:
    """Groups rows, or those that are known. One thread, so that equal rows and seed give equal bytes."""
    if not len(features.matrix):
        raise InvalidArgument("there are no cells to cluster")
    step = _steps(STAGES, checkpoint, report)
    with threadpool_limits(1):
        made = group(features, params, known, checkpoint, step)
        step(4)
        places = layout(features.matrix, made.model.centres, params.seed)
        return Clustered(made.leaf, made.confidence, places, made.tree)


def group(
    features: Features,
    params: Params,
    known: NDArray[np.bool_] | None = None,
    checkpoint: Checkpoint = go_on,
    step: Callable[[int], None] = at_once,
) -> Grouped:
    """All of a clustering but the map."""
    matrix, seed = features.matrix, params.seed
    known = np.ones(len(matrix), bool) if known is None else known
    step(0)
    # Where nothing is known of any, the tree has a leaf that is empty.
    fitted = matrix if known.all() or not known.any() else matrix[known]
    model = leaves.fit(fitted, params.leaf_count or leaves.DEFAULT_LEAVES, seed, checkpoint)
    step(1)
    assigned = leaves.assign(matrix, model, checkpoint)
    leaf = np.where(known, assigned.leaf, NOISE_LEAF).astype(np.uint16)
    confidence = np.where(known, assigned.confidence, 0).astype(np.uint8)
    step(2)
    tree = _grown(features, model, leaf, seed)
    step(3)
    return Grouped(leaf, confidence, model, _examined(tree, matrix, leaf, seed))


def cluster_as_published(
    features: Features,
    vectors: Halves,
    params: Params,
    checkpoint: Checkpoint = go_on,
    report: Report = silent,
    steps: paper.Steps = paper.ON_PROCESSOR,
) -> Clustered:
    """As the published system does it, with a board on top."""
    if not len(vectors):
        raise InvalidArgument("there are no cells to cluster")
    _steps(PUBLISHED_STAGES, checkpoint, report)(0)
    with threadpool_limits(1):
        published = paper.cluster(vectors, params.eps, params.seed, steps, checkpoint)
    return published_board(features, published, params.seed, checkpoint, report)


def cluster_as_imported(
    features: Features,
    came: Came,
    params: Params,
    checkpoint: Checkpoint = go_on,
    report: Report = silent,
) -> Clustered:
    """The clusters that came with the cells, the largest first, with a board on top."""
    if not len(came.cluster):
        raise InvalidArgument("there are no cells to cluster")
    numbers, place = np.unique(came.cluster[came.cluster >= 0], return_inverse=True)
    if len(numbers) > leaves.MAX_LEAVES:
        raise InvalidArgument(
            f"the imported cells have {len(numbers):,} clusters, and a board holds {leaves.MAX_LEAVES:,}"
        )
    cluster = np.full(len(came.cluster), NOISE, np.int64)
    cluster[came.cluster >= 0] = place
    known = np.clip(np.nan_to_num(came.confidence.astype(np.float64)), 0, 1)
    published = paper.Published(cluster, known, 0.0, False, np.empty(0, np.int64))
    return published_board(features, published, params.seed, checkpoint, report)


def published_board(
    features: Features, published: paper.Published, seed: int, checkpoint: Checkpoint = go_on, report: Report = silent
) -> Clustered:
    """DBSCAN's clusters for leaves, the largest first; all else of the board is of the features."""
    matrix, leaf = features.matrix, _leaves_of(published)
    step = _steps(PUBLISHED_STAGES, checkpoint, report)
    with threadpool_limits(1):
        step(1)
        # A tree has a leaf at least: where all is noise, one that is empty.
        model = leaves.around(matrix, leaf, max(1, published.cluster_count))
        tree = _grown(features, model, leaf, seed)
        step(2)
        tree = replace(_examined(tree, matrix, leaf, seed), cluster_count=tree.leaf_count)
        step(3)
        confidence = np.round(published.confidence * 255).astype(np.uint8)
        return Clustered(leaf, confidence, layout(matrix, model.centres, seed), tree)


def _leaves_of(published: paper.Published) -> Leaves:
    """Clusters by size; none is left out."""
    if published.cluster_count > leaves.MAX_LEAVES:
        raise InvalidArgument(
            f"DBSCAN finds {published.cluster_count:,} clusters with an eps of {published.eps:.4g}, and a board holds "
            f"{leaves.MAX_LEAVES:,}: choose a larger eps"
        )
    return np.where(published.cluster == NOISE, NOISE_LEAF, published.rank).astype(np.uint16)


def _steps(stages: Sequence[str], checkpoint: Checkpoint, report: Report) -> Callable[[int], None]:
    def step(done: int) -> None:
        checkpoint()
        report(done, len(stages), stages[done])

    return step


def leaf_model(matrix: Halves, leaf: Leaves, tree: Tree) -> LeafModel:
    """The leaves of a finished clustering, for cells of another slide."""
    with threadpool_limits(1):
        centres, _ = leaves.means(matrix, leaf, tree.leaf_count)
    return LeafModel(centres, tree.leaf_radii(), tree.variance)


def _grown(features: Features, model: LeafModel, leaf: Leaves, seed: int) -> Tree:
    centres, sizes = leaves.means(features.matrix, leaf, len(model.centres))
    nodes = ward(centres, sizes, model.radii)
    nodes = described(nodes, features.matrix, leaf, centres, features.names[: features.own_count], seed)
    projection = features.projection
    return Tree(
        nodes=nodes,
        root=whole(nodes),
        leaf_count=len(sizes),
        noise_count=int((leaf == NOISE_LEAF).sum()),
        cluster_count=len(sizes),
        structure=Structure(False, 1.0, 0.0),
        feature_names=features.names,
        own_count=features.own_count,
        variance=model.variance,
        seed=seed,
        projection=_stored(projection),
    )


def _stored(projection: Projection | None) -> dict[str, object] | None:
    if projection is None:
        return None
    return {"mean": projection.mean.tolist(), "components": projection.components.tolist()}


def _examined(tree: Tree, matrix: Halves, leaf: Leaves, seed: int) -> Tree:
    structure, supported = null_test.examine(tree, leaf, matrix, seed)
    nodes = tuple(replace(node, supported=node.id in supported) for node in tree.nodes)
    examined = replace(tree, nodes=nodes, structure=structure)
    return replace(examined, cluster_count=proposed_count(examined))
