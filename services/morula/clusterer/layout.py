"""A map of cells in two dimensions, for display only: nothing is decided by it.

Around their leaves is quick; UMAP's plane keeps a few times as many of a cell's nearest beside it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.manifold import TSNE

from morula.clusterer.arrays import (
    Floats,
    Halves,
    chunks,
    sample_rows,
    squared_distances,
)

FEWEST_FOR_A_MAP = 8
NEIGHBOURS = 8
RIDGE = 0.2
AXES_ROWS = 20_000
SAMPLE_ROWS = 100_000
"""Of more rows UMAP fits a sample of so many, and places the others on that."""
FEWEST_FOR_UMAP = 4
"""Of fewer there is no plane to compute."""


def layout(matrix: Halves, centres: Floats, seed: int) -> Halves:
    """Position of each row, -1 to 1: leaves by t-SNE of their centres, cells between the leaves around their own."""
    if len(centres) < FEWEST_FOR_A_MAP:
        return fitted(_plane(matrix, seed))
    return fitted(placed(matrix, centres, _map(centres, seed)))


def umap_plane(rows: Floats, seed: int) -> Floats:
    """UMAP's plane. One thread: with a seed umap-learn takes no more."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from morula.clusterer.umap_learn import UMAP

        return on_plane(UMAP(n_components=2, random_state=seed % (1 << 32), n_jobs=1), rows, seed)


def on_plane(model: Any, rows: Floats, seed: int) -> Floats:
    """Places of all rows by a model that is fitted to a sample of them."""
    drawn = sample_rows(len(rows), SAMPLE_ROWS, seed)
    places = np.empty((len(rows), 2), np.float32)
    places[drawn] = model.fit_transform(rows[drawn])
    others = np.setdiff1d(np.arange(len(rows)), drawn, assume_unique=True)
    for part in chunks(len(others)):
        places[others[part]] = model.transform(rows[others[part]])
    return places


def fitted(places: Floats) -> Halves:
    """Shifted and scaled alike in both directions to -1 to 1; the few that lie far out are moved to the edge."""
    low, high = np.quantile(places, 0.001, axis=0), np.quantile(places, 0.999, axis=0)
    half = max(float((high - low).max()) / 2.0, 1e-6)
    return np.clip((places - (low + high) / 2.0) / half / 1.02, -1.0, 1.0).astype(np.float16)


def placed(matrix: Halves, centres: Floats, places: Floats) -> Floats:
    """Position of each row on a map that has places for leaves: around that of its nearest one."""
    few = np.zeros((len(centres), centres.shape[1], 2), np.float32)
    turns = _turns(centres, places) if len(centres) >= FEWEST_FOR_A_MAP else few
    result = np.empty((len(matrix), 2), np.float32)
    for rows in chunks(len(matrix)):
        wide = matrix[rows].astype(np.float32)
        nearest = squared_distances(wide, centres).argmin(axis=1)
        offset = wide - centres[nearest]
        result[rows] = places[nearest] + np.einsum("rc,rcd->rd", offset, turns[nearest], optimize=True)
    return result


def _map(centres: Floats, seed: int) -> Floats:
    start = _principal(centres)
    start = start / max(float(start[:, 0].std()), 1e-6) * 1e-2
    perplexity = min(15.0, (len(centres) - 1) / 3.0)
    model = TSNE(2, perplexity=perplexity, init=start, learning_rate="auto", random_state=seed % (1 << 32), n_jobs=1)
    places: Floats = np.asarray(model.fit_transform(centres), np.float32)
    return places


def _turns(centres: Floats, places: Floats) -> Floats:
    """For each leaf the linear map that best carries its nearest leaves to their places: cells follow it."""
    apart = squared_distances(centres, centres)
    np.fill_diagonal(apart, np.inf)
    nearest = np.argsort(apart, axis=1, kind="stable")[:, :NEIGHBOURS]
    turns = np.empty((len(centres), centres.shape[1], 2), np.float32)
    for leaf, others in enumerate(nearest):
        there, here = centres[others] - centres[leaf], places[others] - places[leaf]
        gram = there @ there.T
        gram[np.diag_indices(len(others))] += RIDGE * float(np.trace(gram)) / len(others) + 1e-6
        turns[leaf] = there.T @ np.linalg.solve(gram, here)
    return turns


def _plane(matrix: Halves, seed: int) -> Floats:
    """The plane in which rows spread most, for too few leaves to make a map of."""
    drawn = matrix[sample_rows(len(matrix), AXES_ROWS, seed)].astype(np.float32)
    mean, axes = drawn.mean(axis=0), _axes(drawn)
    result = np.empty((len(matrix), 2), np.float32)
    for rows in chunks(len(matrix)):
        result[rows] = (matrix[rows].astype(np.float32) - mean) @ axes
    return result


def _principal(rows: Floats) -> Floats:
    plane: Floats = (rows - rows.mean(axis=0)) @ _axes(rows)
    return plane


def _axes(rows: Floats) -> Floats:
    centred = (rows - rows.mean(axis=0)).astype(np.float64)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axes = np.zeros((rows.shape[1], 2))
    widest = vectors[:, ::-1][:, :2]
    largest = np.take_along_axis(widest, np.abs(widest).argmax(axis=0)[None, :], axis=0)
    axes[:, : widest.shape[1]] = widest * np.where(largest < 0, -1.0, 1.0)
    return axes.astype(np.float32)
