"""Which cells show what a cluster holds beside its typical ones: those at its border, and those far from all of it.

Both are looked for among a seeded draw of each leaf's rows, so that a cut answers at once however many cells there are.
How far a cell is from a cluster is how far it is from the nearest of its leaves: a cluster need not be round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from morula.clusterer.arrays import Floats, Halves, Leaves, Rows, chunks, sample_rows, squared_distances
from morula.clusterer.describe import REPRESENTATIVES, rows_by_leaf
from morula.clusterer.features import is_unknown
from morula.clusterer.labeller.learn import Board
from morula.clusterer.spread import CANDIDATES, spread
from morula.common.formats import NOISE_LEAF

DRAWN = 20_000
MOST_OF_A_LEAF = 200
FEWEST_OF_A_LEAF = 8
SHOWN = 6
LEAST_APART = 1e-6
LARGEST_SHARE = 3
"""Of so many cells that were drawn of a cluster one is shown as borderline and one as outlying."""


@dataclass(frozen=True)
class Sketch:
    """Some rows of each leaf, and where the leaves lie."""

    rows: Rows
    leaf: Rows
    centres: Floats


@dataclass(frozen=True)
class Near:
    """A row and the cluster that is nearest to it beside its own, by node; 0 where there is none."""

    row: int
    node_id: int


@dataclass(frozen=True)
class Examples:
    """Rows of a cluster: between it and another one, and far from all that is common in it."""

    borderline: Sequence[Near]
    outlying: Rows


@dataclass(frozen=True)
class Noise:
    """The cells in no cluster, and some that show what there is."""

    cell_count: int
    shown: Sequence[Near]


@threadpool_limits.wrap(1)  # type: ignore[untyped-decorator] # threads cost more here than they bring
def sketch(matrix: Halves, leaf: Leaves, leaf_count: int, seed: int) -> Sketch:
    """Of a clustering, under whatever cut."""
    at_most = min(MOST_OF_A_LEAF, max(FEWEST_OF_A_LEAF, DRAWN // max(1, leaf_count)))
    drawn = [members[sample_rows(len(members), at_most, seed)] for members in rows_by_leaf(leaf, leaf_count)]
    centres = np.zeros((leaf_count, matrix.shape[1]), np.float32)
    for number, members in enumerate(drawn):
        if len(members):
            centres[number] = np.asarray(matrix[members], np.float32).mean(axis=0)
    numbers = np.repeat(np.arange(leaf_count), [len(members) for members in drawn])
    return Sketch(np.concatenate(drawn) if drawn else np.zeros(0, np.int64), numbers, centres)


@threadpool_limits.wrap(1)  # type: ignore[untyped-decorator] # threads cost more here than they bring
def examples(board: Board, drawn: Sketch) -> dict[int, Examples]:
    """Of each cluster of the cut."""
    own, way = np.empty(len(drawn.rows), np.float32), np.zeros(len(drawn.rows), np.float32)
    near = np.zeros(len(drawn.rows), np.int64)
    node = board.node_of_leaf[drawn.leaf]
    for part in chunks(len(node), 4 * len(board.node_of_leaf)):
        squares = squared_distances(np.asarray(board.matrix[drawn.rows[part]], np.float32), drawn.centres)
        mine = board.node_of_leaf == node[part, None]
        own_leaf, other_leaf = (
            np.where(mine, squares, np.inf).argmin(axis=1),
            np.where(mine, np.inf, squares).argmin(axis=1),
        )
        every = np.arange(len(squares))
        own[part] = np.sqrt(squares[every, own_leaf])
        near[part] = np.where(mine.all(axis=1), 0, board.node_of_leaf[other_leaf])
        between = np.square(drawn.centres[own_leaf] - drawn.centres[other_leaf]).sum(axis=1)
        way[part] = (squares[every, own_leaf] - squares[every, other_leaf]) / np.maximum(between, LEAST_APART)
    nodes = np.unique(board.node_of_leaf).tolist()
    return {one: _examples(drawn.rows, np.flatnonzero(node == one), own, way, near) for one in nodes}


def _examples(rows: Rows, members: Rows, own: Floats, way: Floats, near: Rows) -> Examples:
    """`way` is how far a row has gone towards the nearest leaf of another cluster; what lies aside does not count."""
    count = min(SHOWN, len(members) // LARGEST_SHARE)
    bordering = members[near[members] > 0]
    between = bordering[np.argsort(-way[bordering], kind="stable")][:count]
    rest = np.setdiff1d(members, between)
    far = rest[np.argsort(-own[rest], kind="stable")][:count]
    return Examples([Near(int(rows[one]), int(near[one])) for one in between], rows[far])


@threadpool_limits.wrap(1)  # type: ignore[untyped-decorator] # threads cost more here than they bring
def noise(board: Board, drawn: Sketch) -> Noise | None:
    """What lies in no cluster; None where all cells are in one."""
    rows = np.flatnonzero(board.leaf == NOISE_LEAF)
    if not len(rows):
        return None
    seed = board.tree.seed
    among = rows[sample_rows(len(rows), CANDIDATES, seed)]
    shown = among[spread(np.asarray(board.matrix[among], np.float32), REPRESENTATIVES, seed)]
    near = nearest(board, drawn, shown)
    return Noise(len(rows), [Near(int(row), int(node)) for row, node in zip(shown, near, strict=True)])


def nearest(board: Board, drawn: Sketch, rows: Rows) -> Rows:
    """The cluster nearest to each of these rows, by node; 0 for one of which nothing is known."""
    squares = squared_distances(np.asarray(board.matrix[rows], np.float32), drawn.centres)
    unknown = is_unknown(board.matrix[rows], board.tree.fitted_projection(), board.tree.own_count)
    return np.where(unknown, 0, board.node_of_leaf[squares.argmin(axis=1)])
