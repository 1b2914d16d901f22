"""What a cluster is called: by a person, else by most of its seen cells, else nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from morula.clusterer.arrays import Leaves, Rows
from morula.common.formats import NOISE_LEAF

ODD = 0
"""Class of a cell that was seen and does not belong: counts against its cluster's name."""
LEAST_SEEN = 5
"""Cells of a cluster that must have been seen before they give it a name."""


@dataclass(frozen=True)
class Seen:
    """Cells that a person saw. Class 0 is odd; page 0 is none, shown 0 is no pre-label."""

    rows: Rows
    classes: Rows
    groups: Rows
    """Slide of each, or tile where there is one slide: neighbours are held out together."""
    pages: Rows
    shown: Rows
    """What the model called each when the person spoke of it."""

    def take(self, places: Rows) -> Seen:
        return Seen(*(values[places] for values in vars(self).values()))


def effective_names(
    nodes: Sequence[int], explicit: Mapping[int, int], node_of_seen: Rows, seen_classes: Rows
) -> dict[int, int]:
    """Name of each cluster that has one: explicit, else the class of more than half of its seen cells, if enough were.

    Odd cells count among the seen ones. A cluster of which too few were seen, or which is mixed, has no name: what
    nobody looked at is not called anything.
    """
    names = {}
    for node_id in nodes:
        inside = np.bincount(seen_classes[node_of_seen == node_id], minlength=1)
        most, count = int(inside.argmax()), int(inside.sum())
        own = most if count >= LEAST_SEEN and 2 * int(inside[most]) > count else ODD
        name = explicit.get(node_id, own)
        if name != ODD:
            names[node_id] = name
    return names


def node_of_rows(leaf: Leaves, node_of_leaf: Rows, rows: Rows) -> Rows:
    """Cluster of each of these rows; 0 for noise."""
    found: Rows = node_of_leaves(node_of_leaf)[leaf[rows]]
    return found


def node_of_leaves(node_of_leaf: Rows) -> Rows:
    """Cluster of every number that a leaf can have; 0 for noise."""
    table = np.zeros(NOISE_LEAF + 1, np.int64)
    table[: len(node_of_leaf)] = node_of_leaf
    return table


def class_of_leaf(node_of_leaf: Rows, names: Mapping[int, int]) -> Rows:
    """Class of each leaf by the name of its cluster; 0 where it has none."""
    return np.asarray([names.get(int(node), 0) for node in node_of_leaf], np.int64)
