"""A simulated annotator with a clock, and the ways of working that are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from morula.clusterer.core import Clustered, leaf_model
from morula.clusterer.labeller import learn, logistic, pages
from morula.clusterer.labeller.learn import Board
from morula.clusterer.labeller.names import Seen
from morula.clusterer.leaves import assign

Rows = NDArray[np.int64]

PAGE_CELLS = 9
NAME_PAGE_S = 8.0
REVIEW_PAGE_S = 5.0
CORRECT_CELL_S = 2.0
SINGLE_CELL_S = 3.0
REFIT_EVERY = 5
"""Single cells between two fits of the model that chooses the next ones."""


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
        classes, _ = logistic.layers(model, self.other_matrix, 0.0)
        return classes.astype(np.int64)


@dataclass
class _Clock:
    """Seconds spent, and what the others' cells were called by each of the times asked for."""

    times_s: tuple[int, ...]
    spent_s: float = 0.0
    reached: dict[int, Rows] = field(default_factory=dict)

    def spend(self, seconds: float, given: Callable[[], Rows]) -> None:
        """`given` is what they are called by what was done before these seconds."""
        due = [time for time in self.times_s if self.spent_s <= time < self.spent_s + seconds]
        if due:
            now = given()
            self.reached.update(dict.fromkeys(due, now))
        self.spent_s += seconds

    @property
    def over(self) -> bool:
        return self.spent_s > max(self.times_s)


Way = Callable[[Task, tuple[int, ...]], dict[int, Rows]]
"""Classes of the others' cells by time."""


def by_pages(task: Task, times_s: tuple[int, ...]) -> dict[int, Rows]:
    """Pages of similar cells, odd ones marked, the model on all that was shown; later pages come labelled."""
    clock, board = _Clock(times_s), task.board()
    rows, numbers, shown = (np.zeros(0, np.int64) for _ in range(3))
    past: list[pages.PagePlace] = []
    layers: pages.Layers | None = None
    while not clock.over:
        wish = pages.Wish(cell_count=PAGE_CELLS, seed=task.seed)
        page = pages.next_page(board, layers, rows, past, wish)
        if page is None:
            clock.spend(max(times_s), partial(task.given_by_model, rows))
            break
        clock.spend(_page_s(task.truth[page.rows], page.classes), partial(task.given_by_model, rows))
        past.append(page.place)
        rows = np.concatenate([rows, page.rows])
        numbers = np.concatenate([numbers, np.full(len(page.rows), len(past))])
        shown = np.concatenate([shown, page.classes])
        learnt = learn.learn(board, Seen(rows, task.truth[rows], task.groups[rows], numbers, shown), {})
        if learnt.classes is not None and learnt.confidence is not None:
            layers = pages.Layers(learnt.classes, learnt.confidence)
    return clock.reached


def _page_s(truth: Rows, shown: Rows) -> float:
    """The annotator takes the shorter way: one key for all and the others corrected, or the pre-labels corrected."""
    named = NAME_PAGE_S + CORRECT_CELL_S * (len(truth) - int(np.bincount(truth).max()))
    if not shown.any():
        return named
    return min(named, REVIEW_PAGE_S + CORRECT_CELL_S * int((truth != shown).sum()))


def by_random_singles(task: Task, times_s: tuple[int, ...]) -> dict[int, Rows]:
    """Single cells at random."""
    order = np.random.default_rng(task.seed).permutation(len(task.truth))
    return _singles(task, times_s, iter(order.tolist()))


def by_smallest_margin(task: Task, times_s: tuple[int, ...]) -> dict[int, Rows]:
    """Single cells, the ones between two classes first."""
    return _singles(task, times_s, None)


def _singles(task: Task, times_s: tuple[int, ...], order: Iterator[int] | None) -> dict[int, Rows]:
    clock = _Clock(times_s)
    rows: list[int] = []
    chosen = order or _margins(task, rows)
    while not clock.over:
        clock.spend(SINGLE_CELL_S, partial(task.given_by_model, np.asarray(rows, np.int64)))
        rows.append(next(chosen))
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


def by_clusters(task: Task, times_s: tuple[int, ...]) -> dict[int, Rows]:
    """Clusters named from a page each, the largest first; every member takes the name, of the others the nearest."""
    clock, board = _Clock(times_s), task.board()
    assigned = assign(task.other_matrix, leaf_model(task.matrix, task.clustered.leaf, task.clustered.tree))
    names: dict[int, int] = {}
    rows = np.zeros(0, np.int64)
    past: list[pages.PagePlace] = []
    sizes = {node: task.clustered.tree.node(node).cell_count for node in set(board.node_of_leaf.tolist())}
    for node in sorted(sizes, key=lambda node: (-sizes[node], node)):
        page = pages.next_page(board, None, rows, past, pages.Wish(PAGE_CELLS, node, seed=task.seed))
        if page is None or clock.over:
            break
        clock.spend(NAME_PAGE_S, lambda: _named(board, names, assigned.leaf))
        names[node] = int(np.bincount(task.truth[page.rows]).argmax())
        rows, past = np.concatenate([rows, page.rows]), [*past, page.place]
    clock.spend(2 * max(times_s), lambda: _named(board, names, assigned.leaf))
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
