"""One tree of clusters that stay and of a tree that was made of all other cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from morula.clusterer import leaves
from morula.clusterer.arrays import Floats, Halves, Leaves, Rows
from morula.clusterer.describe import facts, of_children
from morula.clusterer.tree import Node, Regrouped, Tree, ward
from morula.common.formats import NOISE_LEAF

LEAST_HEIGHT = 1e-6
"""What a cut opens first lies higher by so much at least."""


@dataclass(frozen=True)
class Numbers:
    """New numbers of leaves: of those that stay by their old ones, and of the rest's in order."""

    kept: Mapping[int, int]
    fresh: Sequence[int]


@dataclass(frozen=True)
class Rest:
    """The rest's tree, whose ids, leaves and rows are its own, and which row of the whole each of them is."""

    tree: Tree
    rows: Rows
    cluster_count: int
    """So many clusters at most are proposed; as many as its tree proposes where it is zero."""

    @property
    def shown(self) -> list[int]:
        """Its clusters in the cut that is proposed."""
        return self.tree.cut_nodes(self.cluster_count or self.tree.cluster_count)


def joined(before: Tree, locked: Sequence[int], numbers: Numbers, rest: Rest, matrix: Halves, leaf: Leaves) -> Tree:
    """The tree over both, where `leaf` has the new numbers. Nodes that stay keep their ids; all others are above every
    id that was ever given: the highest never goes without higher ones that come."""
    first_id = max(before.by_id) + 1
    kept = [_renumbered(node, numbers.kept) for top in locked for node in before.below(top)]
    fresh = _fresh(rest, numbers.fresh, first_id, max((node.height for node in kept), default=0.0))
    tops = [*locked, first_id + rest.tree.root - 1]
    shown = [first_id + node_id - 1 for node_id in rest.shown]
    model = leaves.around(matrix, leaf, len(numbers.kept) + len(numbers.fresh))
    nodes = {node.id: node for node in (*kept, *fresh)}
    by_size = sorted(shown, key=lambda node_id: (-nodes[node_id].cell_count, node_id))
    grown = replace(
        before,
        nodes=tuple(nodes.values()),
        root=tops[-1],
        leaf_count=len(model.centres),
        noise_count=int((leaf == NOISE_LEAF).sum()),
        cluster_count=len(locked) + len(shown),
        variance=model.variance,
        regrouped=Regrouped(tuple(locked), tuple(by_size)),
    )
    return _under_one_root(grown, tops, model.centres, matrix)


def _renumbered(node: Node, kept: Mapping[int, int]) -> Node:
    return node if node.leaf is None else replace(node, leaf=kept[node.leaf])


def _fresh(rest: Rest, numbers: Sequence[int], first_id: int, lift: float) -> Iterable[Node]:
    """The rest's nodes in words of the whole. Those that the proposed cut opens lie above all that is in clusters that
    stay, which it therefore shows as they are."""
    root = rest.tree.node(rest.tree.root)
    opened = {node.id for node in islice(rest.tree.opened(root), len(rest.shown) - 1)}
    for node in rest.tree.nodes:
        yield replace(
            node,
            id=first_id + node.id - 1,
            parent=None if node.parent is None else first_id + node.parent - 1,
            children=tuple(first_id + child - 1 for child in node.children),
            height=lift + max(node.height, LEAST_HEIGHT) if node.id in opened else node.height,
            leaf=None if node.leaf is None else numbers[node.leaf],
            representatives=tuple(rest.rows[list(node.representatives)].tolist()),
        )


def _under_one_root(grown: Tree, tops: Sequence[int], leaf_centres: Floats, matrix: Halves) -> Tree:
    """The tree with nodes above these, which join what is most alike first and lie above all others."""
    nodes = {node.id: replace(node, parent=None) if node.id in tops else node for node in grown.nodes}
    centre = {top: _centre(grown, top, leaf_centres) for top in tops}
    sizes = np.asarray([nodes[top].cell_count for top in tops], np.int64)
    base, first_id = max(node.height for node in nodes.values()), max(nodes) + 1
    merges = ward(np.stack([centre[top] for top in tops]), sizes, np.zeros(len(tops), np.float32))
    id_of = dict(enumerate([*tops, *range(first_id, first_id + len(tops) - 1)], 1))
    for merge in merges[len(tops) :]:
        node_id, children = id_of[merge.id], [nodes[id_of[child]] for child in merge.children]
        weights = [max(child.cell_count, 1) for child in children]
        centre[node_id] = np.average([centre[child.id] for child in children], axis=0, weights=weights)
        nodes |= {child.id: replace(child, parent=node_id) for child in children}
        nodes[node_id] = replace(
            merge,
            id=node_id,
            parent=None,
            children=tuple(child.id for child in children),
            height=base + max(merge.height, LEAST_HEIGHT),
            representatives=of_children(matrix, [child.representatives for child in children]),
            facts=facts(centre[node_id], grown.feature_names[: grown.own_count]),
        )
    ordered = tuple(sorted(nodes.values(), key=lambda node: node.id))
    return replace(grown, nodes=ordered, root=id_of[len(merges)])


def _centre(tree: Tree, node_id: int, leaf_centres: Floats) -> Floats:
    size_of_leaf = {node.leaf: max(node.cell_count, 1) for node in tree.below(node_id) if node.leaf is not None}
    centre: Floats = np.average(leaf_centres[[*size_of_leaf]], axis=0, weights=[*size_of_leaf.values()])
    return centre
