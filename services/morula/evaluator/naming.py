"""What names of clusters are worth: each cluster is named on one part of the groups and scored on the rest.

A click names one cluster, the largest first, by what most of its cells in the naming part are. Clusters that are not
named yet take the commonest class of those that are, so that one click is worth what a constant is worth. A cell whose
cluster does not occur in the naming part, or that is in no cluster, gets no class and is wrong.

Every draw of slides names its clusters anew: whether a rare class gets a name at all hangs on few slides, and an
interval that took names for given would be far too narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from morula.common.compute import Checkpoint
from morula.evaluator.cells import Flags, Ints
from morula.evaluator.draws import Drawn, Groups, ratio
from morula.evaluator.partition import Table

UNSEEN = -1
RARE_SHARE = 0.05
"""Classes of less than this share of all cells are rare; where none is, the rarest is."""
SCORES = ("accuracy", "macro_f1", "rare_recall")

Counts = NDArray[np.float64]
Make = Callable[[Counts], Drawn]
"""Numbers of confusions, a row for each draw."""


@dataclass(frozen=True)
class Nameable:
    """The pairs of clusters that can have a name."""

    counts: csr_array
    cluster: Ints
    """Of each pair, numbered anew."""
    classes: Ints
    ids: Ints
    """What the table calls these clusters."""
    class_count: int

    @classmethod
    def of(cls, table: Table) -> Nameable:
        kept = ~table.nameless[table.cluster]
        ids, cluster = np.unique(table.cluster[kept], return_inverse=True)
        return cls(table.counts[:, kept], cluster.ravel(), table.classes[kept], ids, table.class_count)

    def named(self, seen: Counts) -> tuple[Ints, Counts]:
        """The commonest class of each cluster among the cells that are seen, of equal ones the first, and the cells of
        each; a row for each draw."""
        starts = np.flatnonzero(np.diff(self.cluster, prepend=-1))
        # Count and class in one number: the largest count wins, then the first class.
        most = np.maximum.reduceat(seen * self.class_count + (self.class_count - 1 - self.classes), starts, axis=1)
        sizes = np.add.reduceat(seen, starts, axis=1)
        names = self.class_count - 1 - (most % self.class_count).astype(np.int64)
        return np.where(sizes > 0, names, UNSEEN), sizes

    def confusion(self, given: Ints, judged: Counts) -> Counts:
        """Cells by (class, class given), of judged cells by pair and the class given to each cluster."""
        width = self.class_count + 1
        named = given[:, self.cluster]
        columns = self.classes * width + np.where(named == UNSEEN, self.class_count, named)
        size = self.class_count * width
        places = np.arange(len(given))[:, None] * size + columns
        cells: Counts = np.bincount(places.ravel(), judged.ravel(), len(given) * size).astype(np.float64)
        return cells.reshape(len(given), size)

    def confusions(self, names: Ints, rank: Ints, judged: Counts, clicks: Sequence[int]) -> Iterator[Counts]:
        """The same after so many clicks each: clusters that wait take the commonest of the names given.

        Only pairs of the clusters that are named are looked at for each; the others are counted by class alone.
        """
        draws, width = len(names), self.class_count + 1
        pair_rank, pair_name = rank[:, self.cluster], names[:, self.cluster]
        of_class = np.arange(draws)[:, None] * self.class_count + self.classes
        unseen = self._by_class(of_class, np.where(pair_name == UNSEEN, judged, 0), draws)
        everything = self._by_class(of_class, judged, draws)
        rows, pairs = np.nonzero((pair_rank < max(clicks, default=0)) & (pair_name != UNSEEN))
        ranks, given, cells = (of[rows, pairs] for of in (pair_rank, pair_name, judged))
        places = (rows * self.class_count + self.classes[pairs]) * width + given
        for count in clicks:
            now = ranks < count
            flat = np.bincount(places[now], cells[now], draws * self.class_count * width).astype(np.float64)
            square = flat.reshape(draws, self.class_count, width)
            waiting = everything - unseen - square.sum(axis=2)
            square[np.arange(draws), :, commonest(names, rank < count, self.class_count)] += waiting
            square[:, :, -1] += unseen
            yield square.reshape(draws, -1)

    def _by_class(self, places: Ints, cells: Counts, draws: int) -> Counts:
        found: Counts = np.bincount(places.ravel(), cells.ravel(), draws * self.class_count).astype(np.float64)
        return found.reshape(draws, self.class_count)


def name_clusters(table: Table, groups: Groups) -> Ints:
    """Names by fold and cluster, each by the cells outside of the fold; UNSEEN where there are none."""
    nameable = Nameable.of(table)
    classes = np.full((groups.fold_count, table.cluster_count), UNSEEN, np.int64)
    if len(nameable.ids):
        for fold in range(groups.fold_count):
            seen, _ = _parted(nameable, groups, fold, groups.weights[:1])
            classes[fold, nameable.ids] = nameable.named(seen)[0]
    return classes


def drawn(
    table: Table, groups: Groups, clicks: Sequence[int], make: Make, make_all: Make, checkpoint: Checkpoint
) -> tuple[list[Drawn], Drawn]:
    """Numbers after so many clicks each and then where all clusters are named, and other numbers of the latter."""
    nameable = Nameable.of(table)
    # Where no cluster is left to name, nothing changes any more.
    early = [count for count in clicks if count < len(nameable.ids)]
    parts: list[list[Drawn]] = []
    for weights in groups.chunks(max(table.counts.shape[1], table.class_count**2)):
        checkpoint()
        *after, whole = _confusions(table, nameable, groups, weights, early)
        parts.append([*(make(flat) for flat in after), make(whole), make_all(whole)])
    *found, last, everything = (
        {name: np.concatenate([part[name] for part in of]) for name in of[0]} for of in zip(*parts, strict=True)
    )
    return [*found, *[last] * (len(clicks) - len(early) + 1)], everything


def _confusions(
    table: Table, nameable: Nameable, groups: Groups, weights: Counts, clicks: Sequence[int]
) -> list[Counts]:
    """Confusions of these draws after so many clicks each, and at last where all clusters are named."""
    none = _nameless(table, weights)
    flats = [none.copy() for _ in (*clicks, None)]
    for fold in range(groups.fold_count) if len(nameable.ids) else ():
        seen, judged = _parted(nameable, groups, fold, weights)
        names, sizes = nameable.named(seen)
        rank = np.argsort(np.argsort(-sizes, axis=1, kind="stable"), axis=1, kind="stable")
        for flat, more in zip(flats, nameable.confusions(names, rank, judged, clicks), strict=False):
            flat += more
        flats[-1] += nameable.confusion(names, judged)
    return flats


def _parted(nameable: Nameable, groups: Groups, fold: int, weights: Counts) -> tuple[Counts, Counts]:
    """Cells by pair outside of a fold and in it. One fold alone has nothing outside of it: there clusters are named and
    scored on the same cells."""
    inside = groups.fold == fold
    outside = ~inside if groups.fold_count > 1 else inside
    seen, judged = (np.asarray((nameable.counts.T @ (weights * some).T).T) for some in (outside, inside))
    return seen, judged


def _nameless(table: Table, weights: Counts) -> Counts:
    """Cells in no cluster get no class."""
    pairs = np.flatnonzero(table.nameless[table.cluster])
    size = table.class_count * (table.class_count + 1)
    columns = table.classes[pairs] * (table.class_count + 1) + table.class_count
    to_column = csr_array((np.ones(len(pairs)), (np.arange(len(pairs)), columns)), shape=(len(pairs), size))
    return np.asarray(weights @ (table.counts[:, pairs] @ to_column).toarray())


def commonest(names: Ints, chosen: Flags, class_count: int) -> Ints:
    """The class that most of the chosen clusters are named by, in each draw."""
    is_named = (names != UNSEEN) & chosen
    places = np.arange(len(names))[:, None] * class_count + names
    counts = np.bincount(places[is_named], minlength=len(names) * class_count)
    return np.asarray(counts.reshape(len(names), class_count).argmax(axis=1))


def confusion_of_cells(truth: Ints, predicted: Ints, class_count: int, groups: Groups) -> csr_array:
    """Cells by group and by (class, class given) of cells that got their class each by itself."""
    width = class_count + 1
    columns = truth * width + np.where(predicted == UNSEEN, class_count, predicted)
    return groups.table(columns, class_count * width)


def rare_classes(counts: NDArray[np.float64]) -> Ints:
    """Classes that are rare among so many cells of each."""
    there = counts > 0
    rare = np.flatnonzero(there & (counts < RARE_SHARE * counts.sum()))
    return rare if len(rare) else np.array([np.where(there, counts, np.inf).argmin()])


def scores(flat: Counts, class_count: int, rare: Ints) -> Drawn:
    """Accuracy, macro-F1 over the classes that occur, and mean recall of rare classes, of confusions of draws."""
    right, true, given = margins(flat, class_count)
    recall = ratio(right, true)
    return {
        "accuracy": ratio(right.sum(axis=1), true.sum(axis=1)),
        "macro_f1": _mean(np.where(true > 0, ratio(2 * right, true + given), np.nan)),
        "rare_recall": _mean(recall[:, rare]),
    }


def by_class(flat: Counts, class_count: int) -> Drawn:
    """Recall, precision and F1, a column for each class."""
    right, true, given = margins(flat, class_count)
    return {"recall": ratio(right, true), "precision": ratio(right, given), "f1": ratio(2 * right, true + given)}


def margins(flat: NDArray[np.float64], class_count: int) -> tuple[NDArray[np.float64], ...]:
    """Cells of each class that are right, that are of it, and that were given it; a row for each draw."""
    square = flat.reshape(len(flat), class_count, class_count + 1)
    diagonal = np.arange(class_count)
    return square[:, diagonal, diagonal], square.sum(axis=2), square[:, :, :class_count].sum(axis=1)


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each row, over what is a number."""
    there = np.isfinite(values)
    return ratio(np.where(there, values, 0).sum(axis=1), there.sum(axis=1))
