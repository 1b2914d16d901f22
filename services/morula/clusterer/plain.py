"""The published clustering written plainly with umap-learn, kneed and scikit-learn: what ours is compared with."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import DBSCAN
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from morula.clusterer.arrays import Doubles, Floats, Halves, Rows


@dataclass(frozen=True)
class Plain:
    """Labels and confidence of each row, and the space that was clustered."""

    labels: Rows
    confidence: Doubles
    eps: float
    space: Floats


def paper(vectors: Halves | Floats, eps: float | None = None) -> Plain:
    """Every call by its own defaults where the paper names nothing else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from morula.clusterer.umap_learn import UMAP

        model = UMAP(n_components=50, n_neighbors=15, min_dist=0.1, metric="euclidean", random_state=42)
        space: Floats = model.fit_transform(normalize(vectors.astype(np.float32)))
    return of_space(space, eps)


def of_space(space: Floats, eps: float | None = None) -> Plain:
    """What follows UMAP."""
    eps = eps or knee(space)
    labels = DBSCAN(eps=eps, min_samples=5).fit_predict(space)
    confidence = np.zeros(len(space))
    for label in set(labels) - {-1}:
        inside = labels == label
        confidence[inside] = 1 / (1 + np.linalg.norm(space[inside] - space[inside].mean(axis=0), axis=1))
    return Plain(labels, confidence, eps, space)


def knee(space: Floats) -> float:
    """The knee of the sorted distances to the fifth nearest."""
    from kneed import KneeLocator

    distances, _ = NearestNeighbors(n_neighbors=5).fit(space).kneighbors(space)
    ordered = np.sort(distances[:, 4])
    found = KneeLocator(np.arange(len(ordered)), ordered, curve="convex", direction="increasing", S=1.0)
    return float(found.elbow_y)


def adjusted_rand(some: Rows, others: Rows) -> float:
    """How far two groupings agree beyond chance."""
    return float(adjusted_rand_score(some, others))


def adjusted_mutual_information(some: Rows, others: Rows) -> float:
    """How much one grouping says of another beyond chance."""
    return float(adjusted_mutual_info_score(others, some))
