"""A simulated annotator with a clock, and the ways of working that are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from morula.clusterer import leaves
from morula.clusterer.arrays import squared_distances
from morula.clusterer.core import Clustered
from morula.clusterer.labeller import learn, logistic, pages
from morula.clusterer.labeller.learn import Board
from morula.clusterer.labeller.names import Seen

Rows = NDArray[np.int64]

PAGE_CELLS = 9
REFIT_EVERY = 5
"""Single cells between two fits of the model that chooses the next ones."""
TYPICAL_NEIGHBOURS = 20
"""A cell is typical whose nearest cells, so many of its cluster, lie near."""

Unit = Literal["s", "clicks"]
Moment = tuple[int, Unit]
"""When what was done so far is looked at: after so many seconds, or so many keys and clicks."""


@dataclass(frozen=True)
class Cost:
    """What something takes an annotator."""

    s: float
    clicks: int

    def of(self, unit: Unit) -> float:
        return self.s if unit == "s" else self.clicks

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.s + other.s, self.clicks + other.clicks)

    def times(self, count: int) -> Cost:
        return Cost(self.s * count, self.clicks * count)


NAME_PAGE = Cost(8.0, 1)
REVIEW_PAGE = Cost(5.0, 1)
CORRECT_CELL = Cost(2.0, 1)
SINGLE_CELL = Cost(3.0, 1)


@dataclass(frozen=True)
class Task:
    """A clustering of some patients' cells, the classes an annotator would give, and the others' cells to be judged on.

    Class 0 is a cell that is none: it is marked odd, and costs its time.
    """

    clustered: Clustered
    matrix: NDArray[np.float16]
    truth: Rows
    groups: Rows
    other_matrix: NDArray[np.float16]
    other_leaf: NDArray[np.uint16]
    other_truth: Rows
    other_groups: Rows
    seed: int

    def board(self) -> Board:
        tree = self.clustered.tree
        cut = np.asarray(tree.node_of_leaf(tree.cluster_count), np.int64)
        return Board(self.matrix, self.clustered.leaf, tree, cut)

    def given_by_model(self, rows: Rows) -> Rows:
        """Classes that a model of these cells gives the others'; 0 where it has met none."""
        known = rows[self.truth[rows] > 0]
        if not len(known):
            return np.zeros(len(self.other_truth), np.int64)
        model = logistic.fit(np.asarray(self.matrix[known], np.float32), self.truth[known])
        classes, _ = logistic.layers(model, self.other_matrix)
        return classes.astype(np.int64)


@dataclass
class _Clock:
    """What was spent, and what the others' cells were called at each of the moments asked for."""

    moments: tuple[Moment, ...]
    spent: Cost = Cost(0.0, 0)
    reached: dict[Moment, Rows] = field(default_factory=dict)

    def spend(self, cost: Cost, given: Callable[[], Rows]) -> None:
        """`given` is what they are called by what was done before this."""
        after = self.spent + cost
        self._note(
            [moment for moment in self.moments if self.spent.of(moment[1]) <= moment[0] < after.of(moment[1])], given
        )
        self.spent = after

    def end(self, given: Callable[[], Rows]) -> None:
        """Nothing is left to do: so it stays."""
        self._note([moment for moment in self.moments if moment not in self.reached], given)

    def _note(self, due: list[Moment], given: Callable[[], Rows]) -> None:
        if due:
            self.reached.update(dict.fromkeys(due, given()))

    @property
    def over(self) -> bool:
        return len(self.reached) == len(self.moments)


Way = Callable[[Task, tuple[Moment, ...]], dict[Moment, Rows]]
"""Classes of the others' cells by moment."""


def by_pages(task: Task, moments: tuple[Moment, ...]) -> dict[Moment, Rows]:
    """Pages of similar cells, odd ones marked, the model on all that was shown; later pages come labelled."""
    clock, board = _Clock(moments), task.board()
    rows, numbers, shown = (np.zeros(0, np.int64) for _ in range(3))
    past: list[pages.PagePlace] = []
    layers: pages.Layers | None = None
    while not clock.over:
        wish = pages.Wish(cell_count=PAGE_CELLS, seed=task.seed)
        page = pages.next_page(board, layers, rows, past, wish)
        if page is None:
            clock.end(partial(task.given_by_model, rows))
            break
        clock.spend(_page_cost(task.truth[page.rows], page.classes), partial(task.given_by_model, rows))
        past.append(page.place)
        rows = np.concatenate([rows, page.rows])
        numbers = np.concatenate([numbers, np.full(len(page.rows), len(past))])
        shown = np.concatenate([shown, page.classes])
        learnt = learn.learn(board, Seen(rows, task.truth[rows], task.groups[rows], numbers, shown), {})
        if learnt.classes is not None and learnt.confidence is not None:
            layers = pages.Layers(learnt.classes, learnt.confidence)
    return clock.reached


def _page_cost(truth: Rows, shown: Rows) -> Cost:
    """The annotator takes the shorter way: one key for all and the others corrected, or the pre-labels corrected."""
    named = NAME_PAGE + CORRECT_CELL.times(len(truth) - int(np.bincount(truth).max()))
    if not shown.any():
        return named
    reviewed = REVIEW_PAGE + CORRECT_CELL.times(int((truth != shown).sum()))
    return min(named, reviewed, key=lambda cost: cost.s)


def by_random_singles(task: Task, moments: tuple[Moment, ...]) -> dict[Moment, Rows]:
    """Single cells at random."""
    order = np.random.default_rng(task.seed).permutation(len(task.truth))
    return _singles(task, moments, iter(order.tolist()))


def by_smallest_margin(task: Task, moments: tuple[Moment, ...]) -> dict[Moment, Rows]:
    """Single cells, the ones between two classes first."""
    return _singles(task, moments, None)


def _singles(task: Task, moments: tuple[Moment, ...], order: Iterator[int] | None) -> dict[Moment, Rows]:
    clock = _Clock(moments)
    rows: list[int] = []
    chosen = order or _margins(task, rows)
    while not clock.over:
        clock.spend(SINGLE_CELL, partial(task.given_by_model, np.asarray(rows, np.int64)))
        following = next(chosen, None)
        if following is None:
            clock.end(partial(task.given_by_model, np.asarray(rows, np.int64)))
            break
        rows.append(following)
    return clock.reached


def _margins(task: Task, rows: list[int]) -> Iterator[int]:
    rng = np.random.default_rng(task.seed)
    while True:
        known = np.asarray([row for row in rows if task.truth[row] > 0], np.int64)
        if len(np.unique(task.truth[known])) < 2:
            yield from rng.choice(len(task.truth), REFIT_EVERY, replace=False).tolist()
            continue
        model = logistic.fit(np.asarray(task.matrix[known], np.float32), task.truth[known])
        scores = np.sort(model.scores(np.asarray(task.matrix, np.float32)), axis=1)
        shares = np.exp(scores - scores[:, -1:])
        shares /= shares.sum(axis=1, keepdims=True)
        margin = shares[:, -1] - shares[:, -2]
        margin[rows] = np.inf
        yield from np.argsort(margin, kind="stable")[:REFIT_EVERY].tolist()


def by_typical_singles(task: Task, moments: tuple[Moment, ...]) -> dict[Moment, Rows]:
    """As many single cells as there is time for, each the most typical one of a cluster of its own."""
    reached = {}
    for moment in moments:
        count = int(moment[0] // SINGLE_CELL.of(moment[1]))
        reached[moment] = task.given_by_model(_typical(np.asarray(task.matrix, np.float32), count, task.seed))
    return reached


def _typical(matrix: NDArray[np.float32], count: int, seed: int) -> Rows:
    with threadpool_limits(1):
        cluster = squared_distances(matrix, leaves.kmeans(matrix, min(count, len(matrix)), seed)).argmin(axis=1)
        chosen = []
        for number in np.unique(cluster):
            members = np.flatnonzero(cluster == number)
            apart = np.sqrt(squared_distances(matrix[members], matrix[members]))
            nearest = np.sort(apart, axis=1)[:, : TYPICAL_NEIGHBOURS + 1]
            chosen.append(members[nearest.mean(axis=1).argmin()])
    return np.asarray(chosen, np.int64)


def by_clusters(task: Task, moments: tuple[Moment, ...]) -> dict[Moment, Rows]:
    """Clusters named from a page each, the largest first; every member takes the name, of the others the nearest."""
    clock, board = _Clock(moments), task.board()
    names: dict[int, int] = {}
    rows = np.zeros(0, np.int64)
    past: list[pages.PagePlace] = []
    sizes = {node: task.clustered.tree.node(node).cell_count for node in set(board.node_of_leaf.tolist())}
    for node in sorted(sizes, key=lambda node: (-sizes[node], node)):
        page = pages.next_page(board, None, rows, past, pages.Wish(PAGE_CELLS, node, seed=task.seed))
        if page is None or clock.over:
            break
        clock.spend(NAME_PAGE, lambda: _named(board, names, task.other_leaf))
        names[node] = int(np.bincount(task.truth[page.rows]).argmax())
        rows, past = np.concatenate([rows, page.rows]), [*past, page.place]
    clock.end(lambda: _named(board, names, task.other_leaf))
    return clock.reached


def _named(board: Board, names: dict[int, int], leaf: NDArray[np.uint16]) -> Rows:
    """Classes by the names so far; who has none takes the commonest name."""
    commonest = max(names.values(), key=list(names.values()).count, default=0)
    table = np.full(65536, commonest, np.int64)
    table[: len(board.node_of_leaf)] = [names.get(int(node), commonest) or commonest for node in board.node_of_leaf]
    return table[leaf]


WAYS: dict[str, Way] = {
    "pages": by_pages,
    "random_singles": by_random_singles,
    "smallest_margin": by_smallest_margin,
    "clusters_only": by_clusters,
}
