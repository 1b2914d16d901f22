"""The published system's clustering: unit vectors, UMAP, DBSCAN, and its confidence. Arrays in, arrays out.

Every number is the published one. What it does where its own way cannot be gone is done, too: fewer rows than UMAP
takes are clustered as unit vectors, and eps has the same fallbacks where there is no knee.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import normalize

from morula.clusterer.arrays import Doubles, Floats, Halves, Rows, chunks
from morula.clusterer.density import MIN_SAMPLES, NOISE, Nearest, dbscan, nearest_rows
from morula.common.compute import Checkpoint, go_on

COMPONENTS = 50
NEIGHBOURS = 15
MIN_DIST = 0.1
SEED = 42
FEWEST_FOR_UMAP = COMPONENTS + 2
"""Of fewer rows UMAP cannot compute so many components."""
SENSITIVITY = 1.0
FALLBACK_PERCENTILE = 95.0
NO_DISTANCE = 1e-6
SMALLEST_EPS = 0.1
USUAL_EPS = 0.5


@dataclass(frozen=True)
class Published:
    """What the published system makes of vectors."""

    cluster: Rows
    """DBSCAN's number of each row, NOISE for none."""
    confidence: Doubles
    """1 / (1 + distance to the middle of its cluster); 0 for noise."""
    eps: float
    is_mapped: bool
    """Whether the space that was clustered is UMAP's, and not that of the unit vectors."""
    unusable_rows: Rows
    """Rows with numbers that are not finite: they are noise, and nothing else knows of them."""

    @property
    def cluster_count(self) -> int:
        return int(self.cluster.max(initial=NOISE)) + 1

    @property
    def rank(self) -> Rows:
        """Place of each row's cluster by size, the largest first; NOISE for none."""
        sizes = np.bincount(self.cluster[self.cluster != NOISE], minlength=self.cluster_count)
        place = np.empty(self.cluster_count + 1, np.int64)
        place[np.argsort(-sizes, kind="stable")] = np.arange(self.cluster_count)
        place[NOISE] = NOISE
        ranked: Rows = place[self.cluster]
        return ranked


MapOnto = Callable[[Floats, int, Checkpoint], Floats]
"""From unit vectors and a seed to UMAP's components."""


def umap(vectors: Floats, seed: int, _checkpoint: Checkpoint = go_on) -> Floats:
    """UMAP's components. One thread: with a seed umap-learn takes no more."""
    with warnings.catch_warnings():
        # umap-learn warns that it has no TensorFlow, and where rows are so few or so equal that it changes its start.
        warnings.simplefilter("ignore")
        from morula.clusterer.umap_learn import UMAP

        model = UMAP(
            n_components=COMPONENTS,
            n_neighbors=NEIGHBOURS,
            min_dist=MIN_DIST,
            metric="euclidean",
            random_state=seed,
            n_jobs=1,
        )
        mapped: Floats = np.ascontiguousarray(model.fit_transform(vectors), np.float32)
    return mapped


def cluster_space(space: Floats, eps: float = 0.0, checkpoint: Checkpoint = go_on) -> tuple[float, Rows]:
    """What follows UMAP: eps and DBSCAN's labels."""
    nearest = nearest_rows(space, checkpoint)
    eps = eps or find_eps(nearest)
    return eps, dbscan(space, nearest, eps, checkpoint)


@dataclass(frozen=True)
class Steps:
    """What computes the two costly steps."""

    map_onto: MapOnto
    cluster_space: Callable[[Floats, float, Checkpoint], tuple[float, Rows]]


ON_PROCESSOR = Steps(umap, cluster_space)


def cluster(
    vectors: Halves | Floats,
    eps: float = 0.0,
    seed: int = SEED,
    steps: Steps = ON_PROCESSOR,
    checkpoint: Checkpoint = go_on,
) -> Published:
    """Clusters rows as the published system does; eps of 0 is found by the knee."""
    usable = finite_rows(vectors)
    inside = np.flatnonzero(usable)
    labels, confidence = np.full(len(vectors), NOISE, np.int64), np.zeros(len(vectors))
    is_mapped = len(inside) >= FEWEST_FOR_UMAP
    if not len(inside):
        return Published(labels, confidence, eps or USUAL_EPS, is_mapped, np.flatnonzero(~usable))
    space: Floats = normalize(np.asarray(vectors[inside], np.float32))
    if is_mapped:
        space = steps.map_onto(space, seed, checkpoint)
    eps, found = steps.cluster_space(space, eps, checkpoint)
    labels[inside], confidence[inside] = found, confidences(space, found)
    return Published(labels, confidence, eps, is_mapped, np.flatnonzero(~usable))


def finite_rows(vectors: Halves | Floats) -> NDArray[np.bool_]:
    """Rows of finite numbers."""
    usable = np.empty(len(vectors), bool)
    for rows in chunks(*vectors.shape):
        with np.errstate(over="ignore"):  # What is too large for the numbers that follow is not finite.
            usable[rows] = np.isfinite(np.asarray(vectors[rows], np.float32)).all(axis=1)
    return usable


def find_eps(nearest: Nearest) -> float:
    """Where the sorted distances to the fifth nearest row, itself counted, have their knee."""
    from kneed import KneeLocator

    if len(nearest.distance) < MIN_SAMPLES:
        return USUAL_EPS
    distances = np.sort(nearest.distance[:, MIN_SAMPLES - 1])
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        # Where all are equal it divides by nothing, and where there is no knee it warns.
        warnings.filterwarnings("ignore", message="No knee/elbow found")
        knee = KneeLocator(np.arange(len(distances)), distances, curve="convex", direction="increasing", S=SENSITIVITY)
    eps = float(np.percentile(distances, FALLBACK_PERCENTILE) if knee.elbow_y is None else knee.elbow_y)
    if eps < NO_DISTANCE:
        apart = distances[distances > NO_DISTANCE]
        eps = float(apart.mean()) if len(apart) else SMALLEST_EPS
    return eps


def confidences(space: Floats, labels: Rows) -> Doubles:
    """The published confidence, as published: not calibrated, and 0 for noise."""
    result = np.zeros(len(labels))
    order = np.argsort(labels, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        if labels[members[0]] != NOISE:
            middle = space[members].mean(axis=0)
            result[members] = 1.0 / (1.0 + np.linalg.norm(space[members] - middle, axis=1))
    return result
