"""What a node shows a person: representatives, and the mean of each feature in scaled units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from morula.clusterer.arrays import Floats, Halves, Leaves, Rows
from morula.clusterer.spread import farthest, spread
from morula.clusterer.tree import Node

REPRESENTATIVES = 24


def rows_by_leaf(leaf: Leaves, leaf_count: int) -> list[Rows]:
    """Rows of each leaf, ascending."""
    order = np.argsort(leaf, kind="stable")
    stops = np.searchsorted(leaf[order], np.arange(leaf_count + 1))
    return [order[stops[number] : stops[number + 1]] for number in range(leaf_count)]


def leaf_representatives(matrix: Halves, rows: Rows, seed: int) -> tuple[int, ...]:
    """Rows that show one leaf."""
    chosen = spread(np.asarray(matrix[rows], np.float32), REPRESENTATIVES, seed)
    return tuple(int(row) for row in rows[chosen])


def facts(centre: Floats, names: Sequence[str]) -> dict[str, float]:
    """Mean of each of a cell's own features."""
    return {name: round(float(value), 4) for name, value in zip(names, centre, strict=False)}


def described(
    nodes: Sequence[Node], matrix: Halves, leaf: Leaves, centres: Floats, names: Sequence[str], seed: int
) -> tuple[Node, ...]:
    """Nodes with representatives and facts. A merged node shows what its children show, as far apart as it goes."""
    members = rows_by_leaf(leaf, len(centres))
    middle: dict[int, Floats] = {}
    done: dict[int, Node] = {}
    for node in nodes:
        if node.leaf is not None:
            middle[node.id] = centres[node.leaf]
            shown = leaf_representatives(matrix, members[node.leaf], seed)
        else:
            weights = [done[child].cell_count for child in node.children]
            middle[node.id] = np.average([middle[child] for child in node.children], axis=0, weights=weights)
            shown = of_children(matrix, [done[child].representatives for child in node.children])
        done[node.id] = replace(node, representatives=shown, facts=facts(middle[node.id], names))
    return tuple(done.values())


def of_children(matrix: Halves, shown: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Rows that show what was merged, out of those that show its children."""
    rows = np.asarray([row for child in shown for row in child], np.int64)
    chosen = farthest(np.asarray(matrix[rows], np.float32), REPRESENTATIVES)
    return tuple(int(row) for row in rows[chosen])
