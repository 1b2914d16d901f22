"""How clusters and classes agree as groupings of the same cells, from counts of cells by cluster and class.

scikit-learn has these numbers for one list of cells; here they are made for a thousand draws of the same table, so
that a million cells are counted once. Its functions are what the tests hold these to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from scipy.special import xlogy
from sklearn.metrics.cluster import expected_mutual_information

from morula.common.compute import Checkpoint
from morula.evaluator.cells import Flags, Ints
from morula.evaluator.draws import Drawn, Groups, ratio

Counts = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """Cells by group and by pair of a cluster and a class that occurs. Pairs are sorted by cluster, then class."""

    counts: csr_array
    cluster: Ints
    """Of each pair, from 0 on."""
    classes: Ints
    """Of each pair."""
    cluster_count: int
    class_count: int
    nameless: Flags
    """Clusters that are none: their cells never get a class by their cluster."""
    pair_of_cell: Ints

    @property
    def starts(self) -> Ints:
        """The first pair of each cluster."""
        return np.flatnonzero(np.diff(self.cluster, prepend=-1))

    @property
    def named_count(self) -> int:
        return self.cluster_count - int(self.nameless.sum())


def tabulate(clusters: Ints, is_none: Flags, classes: Ints, class_count: int, groups: Groups) -> Table:
    """Counts cells. Each cell that is in no cluster is one of its own, which has no name."""
    ids = np.where(is_none, np.cumsum(is_none) + (int(clusters.max()) if len(clusters) else 0), clusters)
    _, first, cluster = np.unique(ids, return_index=True, return_inverse=True)
    pairs, of_cell = np.unique(cluster.ravel() * class_count + classes, return_inverse=True)
    of_cell = of_cell.ravel()
    return Table(
        counts=groups.table(of_cell, len(pairs)),
        cluster=pairs // class_count,
        classes=pairs % class_count,
        cluster_count=len(first),
        class_count=class_count,
        nameless=is_none[first],
        pair_of_cell=of_cell,
    )


def agreement(table: Table, groups: Groups, checkpoint: Checkpoint) -> Drawn:
    """AMI, ARI, homogeneity, completeness, V and purity. NaN of a draw in which no cell counts."""
    sums = _sums(table, groups, checkpoint)
    of_class = csr_array(
        (np.ones(len(table.classes)), (np.arange(len(table.classes)), table.classes)),
        shape=(len(table.classes), table.class_count),
    )
    by_class = groups.weights @ (table.counts @ of_class).toarray()
    total = by_class.sum(axis=1)
    sums |= {"log_class": xlogy(by_class, by_class).sum(axis=1), "twos_class": _twos(by_class).sum(axis=1)}
    drawn = {
        **_information(sums, np.maximum(total, 1)),
        "ari": _adjusted_rand(sums, total),
        "purity": ratio(sums["most"], total),
    }
    drawn["ami"] = _adjusted(drawn, table)
    names = ("ami", "ari", "homogeneity", "completeness", "v_measure", "purity")
    return {name: np.where(total > 0, drawn[name], np.nan) for name in names}


def _sums(table: Table, groups: Groups, checkpoint: Checkpoint) -> Drawn:
    """Sums over pairs and clusters that all numbers are made of. A cluster of one cell has one pair, whose count is the
    weight of its group: of these, which can be a million, groups are counted alone."""
    sizes = np.asarray(table.counts.sum(axis=0)).ravel()
    is_lone = np.bincount(table.cluster, sizes, table.cluster_count) == 1
    counts = table.counts[:, ~is_lone[table.cluster]]
    cluster = table.cluster[~is_lone[table.cluster]]
    starts = np.flatnonzero(np.diff(cluster, prepend=-1))
    named = ~table.nameless[cluster[starts]]

    def of_counts(pairs: Counts) -> Drawn:
        by_cluster = np.add.reduceat(pairs, starts, axis=1)
        return {
            "log_pair": xlogy(pairs, pairs).sum(axis=1),
            "log_cluster": xlogy(by_cluster, by_cluster).sum(axis=1),
            "twos_pair": _twos(pairs).sum(axis=1),
            "twos_cluster": _twos(by_cluster).sum(axis=1),
            "most": np.maximum.reduceat(pairs, starts, axis=1)[:, named].sum(axis=1),
        }

    weights = groups.weights
    lone = table.counts @ is_lone[table.cluster].astype(float)
    lone_named = table.counts @ (is_lone & ~table.nameless)[table.cluster].astype(float)
    log, twos = xlogy(weights, weights) @ lone, _twos(weights) @ lone
    sums = {"log_pair": log, "log_cluster": log, "twos_pair": twos, "twos_cluster": twos, "most": weights @ lone_named}
    if not len(cluster):
        return sums
    return {name: sums[name] + more for name, more in groups.each(counts, of_counts, checkpoint).items()}


def _information(sums: Drawn, total: Counts) -> Drawn:
    log = np.log(total)
    of_clusters, of_classes, both = (log - sums[f"log_{name}"] / total for name in ("cluster", "class", "pair"))
    # Differences of logarithms: what is below this is nothing.
    shared = np.where((found := of_clusters + of_classes - both) > 1e-12, found, 0.0)
    homogeneity = np.where(of_classes > 1e-12, shared / np.maximum(of_classes, 1e-12), 1.0)
    completeness = np.where(of_clusters > 1e-12, shared / np.maximum(of_clusters, 1e-12), 1.0)
    either = homogeneity + completeness
    return {
        "shared": shared,
        "mean_entropy": (of_clusters + of_classes) / 2,
        "homogeneity": homogeneity,
        "completeness": completeness,
        "v_measure": np.where(either > 0, 2 * homogeneity * completeness / np.where(either > 0, either, 1), 0.0),
    }


def _adjusted(drawn: Drawn, table: Table) -> NDArray[np.float64]:
    """Mutual information beyond chance. What chance gives is computed once, for all cells: sizes of clusters and
    classes, which alone decide it, hardly differ between draws."""
    counts = np.asarray(table.counts.sum(axis=0)).ravel().astype(np.int64)
    contingency = csr_array((counts, (table.classes, table.cluster)), shape=(table.class_count, table.cluster_count))
    chance = expected_mutual_information(contingency, int(counts.sum()))
    expected = np.minimum(chance, drawn["mean_entropy"])
    span = drawn["mean_entropy"] - expected
    adjusted = ratio(drawn["shared"] - expected, np.where(span > 1e-12, span, 0))
    # Nothing is left to tell beyond chance: all in one on either side, or every cell by itself.
    return np.nan_to_num(adjusted, nan=0.0)


def _adjusted_rand(sums: Drawn, total: Counts) -> NDArray[np.float64]:
    same_both, same_cluster, same_class = (sums[f"twos_{name}"] for name in ("pair", "cluster", "class"))
    expected = same_cluster * same_class / np.maximum(_twos(total), 1)
    highest = (same_cluster + same_class) / 2
    return np.asarray(np.where(highest == expected, 1.0, ratio(same_both - expected, highest - expected)))


def _twos(counts: Counts) -> NDArray[np.float64]:
    """Pairs of cells that lie together."""
    return np.asarray(counts * (counts - 1) / 2)


def by_slide(table: Table, groups: Groups, checkpoint: Checkpoint) -> Drawn:
    """Clusters named in each slide by its own truth: one cluster to one class, and as many to one as there are."""
    slide_of_row = csr_array(
        (np.ones(groups.count), (groups.slide, np.arange(groups.count))), shape=(groups.slide.max() + 1, groups.count)
    )
    slides = csr_array(slide_of_row @ table.counts)
    one, many = [], []
    for slide in range(slides.shape[0]):
        checkpoint()
        span = slice(slides.indptr[slide], slides.indptr[slide + 1])
        pairs = np.sort(slides.indices[span])
        counts = slides[[slide]].toarray().ravel()[pairs]
        kept = ~table.nameless[table.cluster[pairs]]
        one.append(slide * table.counts.shape[1] + _one_to_one(table, pairs[kept], counts[kept]))
        many.append(slide * table.counts.shape[1] + _many_to_one(table, pairs[kept], counts[kept]))
    counts = table.counts.tocoo()
    place = groups.slide[counts.row] * table.counts.shape[1] + counts.col
    total = np.asarray(table.counts.sum(axis=1)).ravel()

    def share(chosen: list[Ints]) -> NDArray[np.float64]:
        right = np.bincount(counts.row, counts.data * np.isin(place, np.concatenate(chosen)), groups.count)
        return ratio(groups.weights @ right, groups.weights @ total)

    return {"slide_hungarian": share(one), "many_to_one": share(many)}


def _one_to_one(table: Table, pairs: Ints, counts: Counts) -> Ints:
    clusters, rows = np.unique(table.cluster[pairs], return_inverse=True)
    classes, columns = np.unique(table.classes[pairs], return_inverse=True)
    dense = np.zeros((len(clusters), len(classes)))
    dense[rows, columns] = counts
    place = np.full(dense.shape, -1)
    place[rows, columns] = pairs
    chosen = place[linear_sum_assignment(-dense)]
    return np.asarray(chosen[chosen >= 0])


def _many_to_one(table: Table, pairs: Ints, counts: Counts) -> Ints:
    """The commonest class of each cluster, of equal ones the first."""
    order = np.lexsort((table.classes[pairs], -counts, table.cluster[pairs]))
    first = np.flatnonzero(np.diff(table.cluster[pairs][order], prepend=-1))
    return np.asarray(pairs[order][first])
