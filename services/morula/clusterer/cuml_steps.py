"""The published clustering's steps, and a plane for drawing, by cuML on a GPU. Only here cuML is imported.

The same is asked of it as of umap-learn and scikit-learn. UMAP is another program there, so that its places and what
is clustered in them are others; neighbours and DBSCAN of the same places are the same but for rounding.
"""

from __future__ import annotations

import numpy as np

from morula.clusterer.arrays import Floats, Rows
from morula.clusterer.density import MIN_SAMPLES, Nearest
from morula.clusterer.layout import on_plane
from morula.clusterer.paper import COMPONENTS, MIN_DIST, NEIGHBOURS, find_eps
from morula.common.compute import Checkpoint, go_on


def umap(vectors: Floats, seed: int) -> Floats:
    """UMAP's components."""
    from cuml.manifold import UMAP

    model = UMAP(
        n_components=COMPONENTS,
        n_neighbors=NEIGHBOURS,
        min_dist=MIN_DIST,
        metric="euclidean",
        random_state=seed,
        output_type="numpy",
    )
    mapped: Floats = np.ascontiguousarray(model.fit_transform(vectors), np.float32)
    return mapped


def umap_plane(rows: Floats, seed: int) -> Floats:
    """UMAP's plane."""
    from cuml.manifold import UMAP

    return on_plane(UMAP(n_components=2, random_state=seed % (1 << 32), output_type="numpy"), rows, seed)


def cluster_space(space: Floats, eps: float = 0.0, checkpoint: Checkpoint = go_on) -> tuple[float, Rows]:
    """What follows UMAP: eps and DBSCAN's labels."""
    from cuml.cluster import DBSCAN

    eps = eps or find_eps(_nearest(space))
    checkpoint()
    model = DBSCAN(eps=eps, min_samples=MIN_SAMPLES, calc_core_sample_indices=False, output_type="numpy")
    labels: Rows = np.asarray(model.fit_predict(space), np.int64)
    return eps, labels


def _nearest(space: Floats) -> Nearest:
    """As many of each row's nearest rows, itself among them, as tell the knee."""
    from cuml.neighbors import NearestNeighbors

    model = NearestNeighbors(n_neighbors=min(MIN_SAMPLES, len(space)), algorithm="brute", output_type="numpy")
    # Without the second pass a row lies at a distance from itself, which is rounding.
    distance, row = model.fit(space).kneighbors(space, two_pass_precision=True)
    return Nearest(np.asarray(distance, np.float64), np.asarray(row, np.int64))
