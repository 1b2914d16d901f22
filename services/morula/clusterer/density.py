"""DBSCAN as scikit-learn labels it, and its eps by the knee, from one search for each row's nearest rows.

scikit-learn lists everything within eps of every row, which a single large cluster makes quadratic in memory. Here the
nearest few rows of each tell the knee, which rows are core, and nearly all that holds clusters together; pieces that
could still touch are compared, if the balls around them come near enough. Distances are scikit-learn's own, and pairs
as near to eps as rounding are asked of it: labels are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn import get_config
from sklearn.neighbors import NearestNeighbors

from morula.clusterer.arrays import Doubles, Floats, Rows
from morula.common.compute import Checkpoint, go_on

MIN_SAMPLES = 5
"""Rows within eps, the row itself among them, that make a row core."""
NEAREST = 16
ROWS_AT_ONCE = 16
"""Blocks of rows between two looks at whether somebody still waits."""
BALL_ROWS = 256
NOISE = -1


@dataclass(frozen=True)
class Nearest:
    """The nearest rows of each row, itself among them, by distance."""

    distance: Doubles
    row: Rows


def nearest_rows(points: Floats, checkpoint: Checkpoint = go_on) -> Nearest:
    """An exact search. Rows are asked for in the blocks in which scikit-learn computes, for the same last digits."""
    model = NearestNeighbors(n_neighbors=min(NEAREST, len(points))).fit(points)
    distance, row = [], []
    step = _block_rows() * ROWS_AT_ONCE
    for start in range(0, len(points), step):
        checkpoint()
        found = model.kneighbors(points[start : start + step])
        distance.append(found[0])
        row.append(found[1])
    return Nearest(np.concatenate(distance).astype(np.float64), np.concatenate(row).astype(np.int64))


def dbscan(points: Floats, nearest: Nearest, eps: float, checkpoint: Checkpoint = go_on) -> Rows:
    """Cluster of each row, numbered by their first core row; NOISE where a row is in none."""
    reach = _Reach(points, nearest, eps)
    core = reach.out.sum(axis=1) >= MIN_SAMPLES
    piece = _pieces(nearest, reach.out, core)
    piece = _joined(reach, core, piece, checkpoint)
    labels = np.full(len(points), NOISE, np.int64)
    cores = np.flatnonzero(core)
    _, first, place = np.unique(piece[cores], return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    labels[cores] = rank[place]
    _take_border(labels, nearest, reach.back, core)
    return labels


class _Reach:
    """Who lies within eps of whom."""

    def __init__(self, points: Floats, nearest: Nearest, eps: float) -> None:
        self.points, self.eps = points, eps
        self._model = NearestNeighbors(radius=eps).fit(points)
        wide = points.astype(np.float64)
        squares = np.einsum("rc,rc->r", wide, wide)
        # How far a squared distance may be off that is computed as |a|^2 + |b|^2 - 2ab.
        self.tolerance = float((points.shape[1] + 8) * 2.0**-51 * 4.0 * squares.max(initial=0.0))
        self.out = nearest.distance <= eps
        """Whether the row reaches its neighbour of this place."""
        self.back = self.out.copy()
        """Whether its neighbour reaches it: the same, but for rounding."""
        self.open = np.square(nearest.distance[:, -1]) <= eps**2 + self.tolerance
        """Rows that may reach more than their nearest."""
        row, place = np.nonzero(np.abs(np.square(nearest.distance) - eps**2) <= self.tolerance)
        other = nearest.row[row, place]
        self.out[row, place], self.back[row, place] = self.reach(row, other), self.reach(other, row)

    def reach(self, rows: Rows, others: Rows) -> NDArray[np.bool_]:
        """Whether scikit-learn finds each other row within eps of its row, asked in the blocks in which it computes."""
        size = _block_rows()
        answers = np.zeros(len(rows), bool)
        for number in np.unique(rows // size):
            block = self.points[number * size : (number + 1) * size]
            found = self._model.radius_neighbors(block, return_distance=False)
            for pair in np.flatnonzero(rows // size == number):
                answers[pair] = (found[rows[pair] - number * size] == others[pair]).any()
        return answers

    def touch(self, some: Rows, others: Rows) -> bool:
        """Whether any of some rows lies within eps of any of the others."""
        here, there = self.points[some].astype(np.float64), self.points[others].astype(np.float64)
        squares = np.square(here).sum(axis=1)[:, None] + np.square(there).sum(axis=1) - 2.0 * (here @ there.T)
        if (squares <= self.eps**2 - self.tolerance).any():
            return True
        a, b = np.nonzero(squares <= self.eps**2 + self.tolerance)
        return bool((self.reach(some[a], others[b]) | self.reach(others[b], some[a])).any())


def _block_rows() -> int:
    return int(get_config()["pairwise_dist_chunk_size"])


def _pieces(nearest: Nearest, out: NDArray[np.bool_], core: NDArray[np.bool_]) -> Rows:
    """Core rows that are joined through their nearest; each of the others is a piece of its own."""
    row, place = np.nonzero(out & core[:, None])
    other = nearest.row[row, place]
    row, other = row[core[other]], other[core[other]]
    graph = coo_array((np.ones(len(row), np.int8), (row, other)), shape=(len(core), len(core)))
    piece: Rows = connected_components(graph, directed=False)[1].astype(np.int64)
    return piece


@dataclass(frozen=True)
class _Ball:
    rows: Rows
    points: Doubles
    piece: int

    @cached_property
    def centre(self) -> Doubles:
        middle: Doubles = self.points.mean(axis=0)
        return middle

    @cached_property
    def radius(self) -> float:
        return float(np.linalg.norm(self.points - self.centre, axis=1).max())


def _joined(reach: _Reach, core: NDArray[np.bool_], piece: Rows, checkpoint: Checkpoint) -> Rows:
    """Pieces with those joined that touch where both have rows whose nearest are not all within eps."""
    balls = list(_balls(reach, np.flatnonzero(core & reach.open), piece))
    if len({ball.piece for ball in balls}) < 2:
        return piece
    centres, radii = np.stack([ball.centre for ball in balls]), np.array([ball.radius for ball in balls])
    gaps, firsts, seconds = _near_pairs(centres, radii, reach.eps * (1 + 1e-6) + reach.tolerance, checkpoint)
    owner = np.arange(int(piece.max()) + 1)
    for count, place in enumerate(np.argsort(gaps, kind="stable")):
        if count % ROWS_AT_ONCE == 0:
            checkpoint()
        a, b = balls[firsts[place]], balls[seconds[place]]
        one, other = owner[a.piece], owner[b.piece]
        if one != other and reach.touch(a.rows, b.rows):
            owner[owner == other] = one
    joined: Rows = owner[piece]
    return joined


def _balls(reach: _Reach, rows: Rows, piece: Rows) -> Iterator[_Ball]:
    """Rows of each piece, halved across where they spread most until they are few."""
    rows = rows[np.argsort(piece[rows], kind="stable")]
    waiting = [part for part in np.split(rows, np.flatnonzero(np.diff(piece[rows])) + 1) if len(part)]
    while waiting:
        part = waiting.pop()
        points = reach.points[part].astype(np.float64)
        if len(part) <= BALL_ROWS:
            yield _Ball(part, points, int(piece[part[0]]))
            continue
        order = np.argsort(points[:, points.var(axis=0).argmax()], kind="stable")
        waiting += [part[order[: len(part) // 2]], part[order[len(part) // 2 :]]]


def _near_pairs(centres: Doubles, radii: Doubles, reach: float, checkpoint: Checkpoint) -> tuple[Doubles, Rows, Rows]:
    """Pairs of balls that come within reach of each other, and the least distance between their rows."""
    gaps, firsts, seconds = [], [], []
    for first in range(len(centres) - 1):
        if first % ROWS_AT_ONCE == 0:
            checkpoint()
        apart = np.linalg.norm(centres[first + 1 :] - centres[first], axis=1) - radii[first + 1 :] - radii[first]
        near = np.flatnonzero(apart <= reach)
        gaps.append(apart[near])
        firsts.append(np.full(len(near), first))
        seconds.append(near + first + 1)
    return np.concatenate(gaps), np.concatenate(firsts), np.concatenate(seconds)


def _take_border(labels: Rows, nearest: Nearest, back: NDArray[np.bool_], core: NDArray[np.bool_]) -> None:
    """A row that is not core goes to the first cluster whose core rows reach it: all of them are among its nearest."""
    border = np.flatnonzero(~core)
    reached = back[border] & core[nearest.row[border]]
    last = np.iinfo(np.int64).max
    first = np.where(reached, labels[nearest.row[border]], last).min(axis=1, initial=last)
    labels[border] = np.where(first == last, NOISE, first)
