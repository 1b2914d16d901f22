"""Small clusters by seeded k-means, and how far from one a cell may lie and still belong to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from morula.clusterer.arrays import Bytes, Doubles, Floats, Halves, Leaves, Rows, chunks, sample_rows, squared_distances
from morula.common.compute import Checkpoint, go_on
from morula.common.formats import NOISE_LEAF

ROWS_PER_LEAF = 40
FEWEST_LEAVES = 8
FEWEST_ROWS = 4
DEFAULT_LEAVES = 160
MAX_LEAVES = 4096
FIT_ROWS = 25_000
FIT_ROWS_PER_LEAF = 50
ROWS_FOR_A_REACH = 8
"""Members from which a leaf's own reach is measured; smaller ones reach as far as leaves do on the whole."""
FAR = 6.0
"""Robust standard deviations beyond the median distance at which a row belongs to no leaf."""
LEAST_VARIANCE = 1e-6


@dataclass(frozen=True)
class LeafModel:
    """Where leaves lie, how far they reach, and the variance per direction that all share."""

    centres: Floats
    radii: Floats
    variance: float


@dataclass(frozen=True)
class Assigned:
    """Leaf and confidence of each row, and its distance from the leaf's centre, noise or not."""

    leaf: Leaves
    confidence: Bytes
    distance: Floats


def leaf_count_for(row_count: int, at_most: int) -> int:
    """About 40 rows a leaf and 8 leaves at the least, but never fewer than 4 rows a leaf, nor more than `at_most`."""
    return max(1, min(max(row_count // ROWS_PER_LEAF, FEWEST_LEAVES), row_count // FEWEST_ROWS, at_most))


def fit(matrix: Halves, at_most: int, seed: int, checkpoint: Checkpoint = go_on) -> LeafModel:
    """Leaves over all rows, the largest first. k-means runs on a seeded draw; every row then moves the centres once."""
    count = leaf_count_for(len(matrix), at_most)
    drawn = sample_rows(len(matrix), max(FIT_ROWS, count * FIT_ROWS_PER_LEAF), seed)
    centres = kmeans(matrix[drawn].astype(np.float32), count, seed)
    checkpoint()
    nearest, _ = _nearest(matrix, centres, checkpoint)
    centres, _ = means(matrix, nearest, len(centres))
    nearest, distance = _nearest(matrix, centres, checkpoint)
    centres = centres[_reached(nearest, distance, len(centres))]
    nearest, distance = _nearest(matrix, centres, checkpoint)
    order = np.argsort(-np.bincount(nearest, minlength=len(centres)), kind="stable")
    variance = float(np.square(distance, dtype=np.float64).mean()) / max(1, matrix.shape[1])
    return LeafModel(centres[order], _radii(nearest, distance, len(centres))[order], max(variance, LEAST_VARIANCE))


def _reached(nearest: Rows, distance: Floats, count: int) -> NDArray[np.bool_]:
    """Leaves that hold a row within their reach: the others would be empty."""
    inside = distance <= _radii(nearest, distance, count)[nearest]
    return np.bincount(nearest[inside], minlength=count) > 0


def kmeans(rows: Floats, count: int, seed: int) -> Floats:
    """Centres of at most `count` clusters; fewer where fewer rows differ."""
    count = min(count, len(np.unique(rows, axis=0)))
    model = KMeans(n_clusters=count, n_init=1, max_iter=60, tol=1e-3, random_state=seed % (1 << 32))
    centres: Floats = np.asarray(model.fit(rows).cluster_centers_, np.float32)
    return centres


def assign(matrix: Halves, model: LeafModel, checkpoint: Checkpoint = go_on) -> Assigned:
    """Nearest leaf of each row, none where it lies farther than the leaf reaches.

    Confidence is the leaf's share among all leaves, were each a round cloud of the shared variance.
    """
    leaf = np.empty(len(matrix), np.uint16)
    confidence = np.empty(len(matrix), np.uint8)
    distance = np.empty(len(matrix), np.float32)
    for rows in chunks(len(matrix)):
        checkpoint()
        squares = squared_distances(matrix[rows].astype(np.float32), model.centres)
        nearest = squares.argmin(axis=1)
        best = squares[np.arange(len(nearest)), nearest]
        share = 1.0 / np.exp((best[:, None] - squares) / (2.0 * model.variance)).sum(axis=1)
        distance[rows] = np.sqrt(best)
        far = distance[rows] > model.radii[nearest]
        leaf[rows] = np.where(far, NOISE_LEAF, nearest)
        confidence[rows] = np.where(far, 0, np.round(share * 255))
    return Assigned(leaf, confidence, distance)


def around(matrix: Halves, leaf: Leaves, leaf_count: int) -> LeafModel:
    """The model of leaves that were found otherwise."""
    centres, _ = means(matrix, leaf, leaf_count)
    inside = np.flatnonzero(leaf < leaf_count)
    distance = np.empty(len(inside), np.float32)
    for rows in chunks(len(inside)):
        members = inside[rows]
        distance[rows] = np.linalg.norm(matrix[members].astype(np.float32) - centres[leaf[members]], axis=1)
    if not len(inside):
        return LeafModel(centres, np.zeros(leaf_count, np.float32), LEAST_VARIANCE)
    variance = float(np.square(distance, dtype=np.float64).mean()) / max(1, matrix.shape[1])
    radii = _radii(leaf[inside].astype(np.int64), distance, leaf_count)
    return LeafModel(centres, radii, max(variance, LEAST_VARIANCE))


def means(matrix: Halves, leaf: Leaves | Rows, leaf_count: int) -> tuple[Floats, Rows]:
    """Mean and size of each leaf; noise belongs to none."""
    total = np.zeros((leaf_count, matrix.shape[1]))
    sizes = np.zeros(leaf_count, np.int64)
    for rows in chunks(len(matrix)):
        numbers = np.asarray(leaf[rows], np.int64)
        inside = numbers < leaf_count
        members, wide = numbers[inside], matrix[rows][inside].astype(np.float64)
        _add(total, members, wide)
        sizes += np.bincount(members, minlength=leaf_count)
    return (total / np.maximum(sizes, 1)[:, None]).astype(np.float32), sizes


def _add(total: Doubles, members: Rows, rows: Doubles) -> None:
    order = np.argsort(members, kind="stable")
    present, starts = np.unique(members[order], return_index=True)
    if len(present):
        total[present] += np.add.reduceat(rows[order], starts, axis=0)


def _nearest(matrix: Halves, centres: Floats, checkpoint: Checkpoint) -> tuple[Rows, Floats]:
    nearest, distance = np.empty(len(matrix), np.int64), np.empty(len(matrix), np.float32)
    for rows in chunks(len(matrix)):
        checkpoint()
        squares = squared_distances(matrix[rows].astype(np.float32), centres)
        nearest[rows] = squares.argmin(axis=1)
        distance[rows] = np.sqrt(squares.min(axis=1))
    return nearest, distance


def _radii(nearest: Rows, distance: Floats, count: int) -> Floats:
    """Median plus six robust deviations of each leaf, never less than the median over all leaves."""
    # Of so few nothing tells which is far.
    pooled = _reach(distance) if len(distance) >= ROWS_FOR_A_REACH else float(distance.max(initial=0.0))
    floor = float(np.median(distance))
    radii = np.full(count, pooled, np.float32)
    for leaf in range(count):
        members = distance[nearest == leaf]
        if len(members) >= ROWS_FOR_A_REACH:
            radii[leaf] = max(_reach(members), floor)
    return radii


def _reach(distance: Floats) -> float:
    middle = float(np.median(distance))
    # Half-precision features carry an error of their own: a leaf of equal rows still holds them.
    return middle + FAR * 1.4826 * float(np.median(np.abs(distance - middle))) + 0.05
