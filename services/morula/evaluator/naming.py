"""What names of clusters are worth: each cluster is named on one part of the groups and scored on the rest.

A click names one cluster, the largest first, by what most of its cells in the naming part are. Clusters that are not
named yet take the commonest class of those that are, so that one click is worth what a constant is worth. A cell whose
cluster does not occur in the naming part, or that is in no cluster, gets no class and is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from morula.common.compute import Checkpoint
from morula.evaluator.cells import Ints
from morula.evaluator.draws import Drawn, Groups, ratio
from morula.evaluator.partition import Table

UNSEEN = -1
RARE_SHARE = 0.05
"""Classes of less than this share of all cells are rare; where none is, the rarest is."""
SCORES = ("accuracy", "macro_f1", "rare_recall")


@dataclass(frozen=True)
class Names:
    """Of each fold, what clusters are named by the cells outside of it."""

    classes: Ints
    """By fold and cluster; UNSEEN where there is nothing to name it by."""
    rank: Ints
    """By fold and cluster: which click names it, from 0 on."""

    def after(self, clicks: int, class_count: int) -> Ints:
        """Classes that clusters have after so many clicks; those that wait take the commonest of the named ones."""
        given = self.classes.copy()
        for names, rank in zip(given, self.rank, strict=True):
            known = names != UNSEEN
            named = names[known & (rank < clicks)]
            if len(named):
                names[known & (rank >= clicks)] = np.bincount(named, minlength=class_count).argmax()
        return given


def name_clusters(table: Table, groups: Groups) -> Names:
    """Names every cluster by its commonest class outside of each fold, of equal ones the first."""
    classes = np.full((groups.fold_count, table.cluster_count), UNSEEN, np.int64)
    rank = np.full_like(classes, table.cluster_count)
    counts = table.counts
    everything = np.asarray(counts.sum(axis=0)).ravel()
    for fold in range(groups.fold_count):
        is_in = groups.fold == fold
        # One fold alone has nothing outside of it: there clusters are named and scored on the same cells.
        seen = everything - (counts.T @ is_in.astype(float)) if groups.fold_count > 1 else everything
        order = np.lexsort((table.classes, -seen, table.cluster))
        best = order[np.flatnonzero(np.diff(table.cluster[order], prepend=-1))]
        sizes = np.add.reduceat(seen, table.starts)
        nameable = (sizes > 0) & ~table.nameless
        classes[fold, nameable] = table.classes[best][nameable]
        by_size = np.lexsort((np.arange(table.cluster_count), -np.where(nameable, sizes, -1)))
        rank[fold, by_size] = np.arange(table.cluster_count)
    return Names(classes, rank)


def confusion(table: Table, groups: Groups, given: Ints) -> csr_array:
    """Cells by group and by (class, class given); the last given class is none."""
    counts = table.counts.tocoo()
    predicted = given[groups.fold[counts.row], table.cluster[counts.col]]
    width = table.class_count + 1
    column = table.classes[counts.col] * width + np.where(predicted == UNSEEN, table.class_count, predicted)
    return csr_array((counts.data, (counts.row, column)), shape=(groups.count, table.class_count * width))


def confusion_of_cells(truth: Ints, predicted: Ints, class_count: int, groups: Groups) -> csr_array:
    """The same of cells that got their class each by itself."""
    width = class_count + 1
    columns = truth * width + np.where(predicted == UNSEEN, class_count, predicted)
    return groups.table(columns, class_count * width)


def rare_classes(counts: NDArray[np.float64]) -> Ints:
    """Classes that are rare among so many cells of each."""
    there = counts > 0
    rare = np.flatnonzero(there & (counts < RARE_SHARE * counts.sum()))
    return rare if len(rare) else np.array([np.where(there, counts, np.inf).argmin()])


def scores(matrix: csr_array, class_count: int, groups: Groups, rare: Ints, checkpoint: Checkpoint) -> Drawn:
    """Accuracy, macro-F1 over the classes that occur, and mean recall of rare classes."""

    def of_counts(flat: NDArray[np.float64]) -> Drawn:
        right, true, given = margins(flat, class_count)
        f1 = ratio(2 * right, true + given)
        recall = ratio(right, true)
        return {
            "accuracy": ratio(right.sum(axis=1), true.sum(axis=1)),
            "macro_f1": _mean(np.where(true > 0, f1, np.nan)),
            "rare_recall": _mean(recall[:, rare]),
        }

    return groups.each(matrix, of_counts, checkpoint)


def by_class(matrix: csr_array, class_count: int, groups: Groups, checkpoint: Checkpoint) -> list[Drawn]:
    """Recall, precision and F1 of each class."""

    def of_counts(flat: NDArray[np.float64]) -> Drawn:
        right, true, given = margins(flat, class_count)
        return {"recall": ratio(right, true), "precision": ratio(right, given), "f1": ratio(2 * right, true + given)}

    drawn = groups.each(matrix, of_counts, checkpoint)
    return [{name: values[:, code] for name, values in drawn.items()} for code in range(class_count)]


def margins(flat: NDArray[np.float64], class_count: int) -> tuple[NDArray[np.float64], ...]:
    """Cells of each class that are right, that are of it, and that were given it; a row for each draw."""
    square = flat.reshape(len(flat), class_count, class_count + 1)
    diagonal = np.arange(class_count)
    return square[:, diagonal, diagonal], square.sum(axis=2), square[:, :, :class_count].sum(axis=1)


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each row, over what is a number."""
    there = np.isfinite(values)
    return ratio(np.where(there, values, 0).sum(axis=1), there.sum(axis=1))
