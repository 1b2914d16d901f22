"""Dividing one cluster of a finished tree, as a person asks for who sees two kinds in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from morula.clusterer.arrays import Floats, Halves, Leaves, Rows, squared_distances
from morula.clusterer.describe import facts, leaf_representatives
from morula.clusterer.leaves import MAX_LEAVES, kmeans
from morula.clusterer.tree import Node, Split, Tree
from morula.common.errors import InvalidArgument

MAX_PARTS = 16


def split(matrix: Halves, leaf: Leaves, tree: Tree, node_id: int, part_count: int, seed: int) -> tuple[Leaves, Tree]:
    """Divides a cluster so that every cut that comes to it shows its parts, and notes that in the tree.

    A leaf's cells are divided by their features; what is merged falls into what it was merged of, and no cell changes
    its leaf. Numbers and ids of all others stay.
    """
    if not 2 <= part_count <= MAX_PARTS:
        raise InvalidArgument(f"a cluster is split into 2 to {MAX_PARTS} parts, not {part_count}")
    node = tree.node(node_id)
    if node.leaf is None:
        parted, parts = leaf, _merged_parts(tree, node, part_count)
    else:
        parted, tree = _split_leaf(matrix, leaf, tree, node, part_count, seed)
        parts = tree.node(node_id).children
    cluster_count = min(tree.cluster_count + len(parts) - 1, tree.leaf_count)
    told = replace(tree, cluster_count=cluster_count, splits=(*tree.splits, Split(node_id, parts)))
    return parted, _opened_first(told, node_id, parts)


def _merged_parts(tree: Tree, node: Node, part_count: int) -> tuple[int, ...]:
    """What the tree has below a merged node: so many parts, or all its children where those are more."""
    leaf_count = len(tree.leaves_below(node.id))
    if leaf_count < part_count:
        raise InvalidArgument(f"cluster {node.id} is of {leaf_count} parts, which can be split further one by one")
    parts = tree.cut_nodes(part_count, node.id)
    return tuple(parts) if len(parts) > 1 else node.children


def _opened_first(tree: Tree, node_id: int, parts: Sequence[int]) -> Tree:
    """The tree whose cuts open a node, and those between it and its parts, next after what lies above."""
    nodes = dict(tree.by_id)
    waiting = [node_id]
    while waiting:
        node = nodes[waiting.pop()]
        if node.parent is not None:
            nodes[node.id] = replace(node, height=max(node.height, nodes[node.parent].height))
        waiting.extend(child for child in node.children if child not in parts)
    return replace(tree, nodes=tuple(nodes.values()))


def _split_leaf(
    matrix: Halves, leaf: Leaves, tree: Tree, node: Node, part_count: int, seed: int
) -> tuple[Leaves, Tree]:
    """Divides a leaf's cells. The largest part keeps the leaf's number, the others get new ones, without gaps."""
    if tree.leaf_count + part_count - 1 > MAX_LEAVES:
        raise InvalidArgument(f"a tree has at most {MAX_LEAVES} leaves")
    rows = np.flatnonzero(leaf == node.leaf)
    members = np.asarray(matrix[rows], np.float32)
    with threadpool_limits(1):
        part = _parts(members, part_count, seed, node.id)
    numbers = [int(leaf[rows[0]]), *range(tree.leaf_count, tree.leaf_count + part_count - 1)]
    parted = np.array(leaf, np.uint16)
    parted[rows] = np.asarray(numbers, np.uint16)[part]
    first_id = max(tree.by_id) + 1
    children = tuple(
        _child(tree, node, first_id + place, number, matrix, rows[part == place], seed)
        for place, number in enumerate(numbers)
    )
    height = min(_height(members, part), _height_above(tree, node))
    opened = replace(node, leaf=None, radius=0.0, children=tuple(child.id for child in children), height=height)
    nodes = tuple(opened if other.id == node.id else other for other in tree.nodes) + children
    return parted, replace(tree, nodes=nodes, leaf_count=tree.leaf_count + part_count - 1)


def _parts(members: Floats, part_count: int, seed: int, node_id: int) -> Rows:
    """The part of each member, the largest part first."""
    if len(np.unique(members, axis=0)) < part_count:
        raise InvalidArgument(f"the {len(members)} cells of node {node_id} cannot be split into {part_count} parts")
    part = squared_distances(members, kmeans(members, part_count, seed)).argmin(axis=1)
    sizes = np.bincount(part, minlength=part_count)
    if not sizes.all():
        raise InvalidArgument(f"the cells of node {node_id} cannot be split into {part_count} parts")
    rank = np.empty(part_count, np.int64)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(part_count)
    ranked: Rows = rank[part]
    return ranked


def _child(tree: Tree, node: Node, node_id: int, number: int, matrix: Halves, rows: Rows, seed: int) -> Node:
    centre = np.asarray(matrix[rows], np.float32).mean(axis=0)
    return Node(
        id=node_id,
        parent=node.id,
        children=(),
        height=0.0,
        cell_count=len(rows),
        leaf=number,
        representatives=leaf_representatives(matrix, rows, seed),
        facts=facts(centre, tree.feature_names[: tree.own_count]),
        # Cells near enough to stand for the whole node are near enough for a part of it.
        radius=node.radius,
    )


def _height(members: Floats, part: Rows) -> float:
    """As Ward's: from what a merge of the parts would add to the squared error."""
    middle = members.mean(axis=0, dtype=np.float64)
    between = 0.0
    for number in np.unique(part):
        inside = members[part == number]
        between += len(inside) * float(np.square(inside.mean(axis=0, dtype=np.float64) - middle).sum())
    return round(float(np.sqrt(2.0 * between)), 6)


def _height_above(tree: Tree, node: Node) -> float:
    return tree.node(node.parent).height if node.parent is not None else float("inf")
