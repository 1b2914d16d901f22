"""What a cluster is called: by a person, else by its seen cells, else by the commonest class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from morula.clusterer.arrays import NOISE, Leaves, Rows
from morula.clusterer.tree import Tree

ODD = 0
"""Class of a cell that was seen and does not belong: counts against its cluster's name."""


@dataclass(frozen=True)
class Seen:
    """Cells that a person saw. Class 0 is odd; cells of one group are held out together."""

    rows: Rows
    classes: Rows
    groups: Rows
    pages: Rows

    def take(self, places: Rows | np.ndarray) -> Seen:
        return Seen(self.rows[places], self.classes[places], self.groups[places], self.pages[places])


def explicit_names(tree: Tree, nodes: Sequence[int], named: Mapping[int, int]) -> dict[int, int]:
    """Names that a person gave to these clusters; a finer cluster inherits that of its nearest named ancestor."""
    names = {}
    for node_id in nodes:
        for ancestor in tree.ancestors(node_id):
            if ancestor.id in named:
                names[node_id] = named[ancestor.id]
                break
    return names


def effective_names(
    nodes: Sequence[int], explicit: Mapping[int, int], node_of_seen: Rows, seen_classes: Rows
) -> dict[int, int]:
    """Name of each cluster: explicit, else the majority of its seen cells, else the commonest class.

    Odd cells count as a class of their own: where they are the most, the cluster has no name from its cells.
    Empty where nothing was seen or named.
    """
    counts = np.bincount(seen_classes[seen_classes != ODD], minlength=1)
    commonest = int(counts.argmax()) if counts.any() else ODD
    names = {}
    for node_id in nodes:
        inside = np.bincount(seen_classes[node_of_seen == node_id], minlength=len(counts))
        # Of two that are as frequent here, the one that is more frequent everywhere.
        best = max(range(len(inside)), key=lambda number: (inside[number], counts[number] if number else -1, -number))
        own = best if inside[best] else ODD
        name = explicit.get(node_id) or own or commonest
        if name != ODD:
            names[node_id] = name
    return names


def node_of_rows(leaf: Leaves, node_of_leaf: Rows, rows: Rows) -> Rows:
    """Cluster of each of these rows; 0 for noise."""
    table = np.zeros(NOISE + 1, np.int64)
    table[: len(node_of_leaf)] = node_of_leaf
    found: Rows = table[np.asarray(leaf[rows], np.int64)]
    return found


def class_of_leaf(node_of_leaf: Rows, names: Mapping[int, int]) -> Rows:
    """Class of each leaf by the name of its cluster; 0 where it has none."""
    return np.asarray([names.get(int(node), 0) for node in node_of_leaf], np.int64)
