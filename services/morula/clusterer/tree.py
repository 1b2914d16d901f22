"""One nested hierarchy over leaves: Ward's merges, its cuts, and the JSON that carries it."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from morula.clusterer.arrays import Doubles, Floats, Rows
from morula.clusterer.features import Projection
from morula.clusterer.mixing import Mixing, of_json
from morula.common.errors import ArtifactInvalid, NotFound

PROPOSED_CLUSTERS = 20
OPTIONAL = ("mixing", "splits", "regrouped")
"""What the JSON of a tree holds only where there is any: trees of before have the same bytes."""


@dataclass(frozen=True)
class Node:
    """A cluster: a leaf, or what was merged. Ids count from 1 and are never given twice in a tree's life."""

    id: int
    parent: int | None
    children: tuple[int, ...]
    height: float
    cell_count: int
    leaf: int | None
    representatives: tuple[int, ...] = ()
    supported: bool = False
    facts: dict[str, float] = field(default_factory=dict)
    radius: float = 0.0
    """How far a cell may lie from a leaf's centre; 0 for a merged node."""


@dataclass(frozen=True)
class Structure:
    """The test for structure: false where the cells are as likely to come from one cloud."""

    found: bool
    p_value: float
    statistic: float


@dataclass(frozen=True)
class Split:
    """A cluster that a person had split, and the nodes that it fell into."""

    node_id: int
    part_ids: tuple[int, ...]


@dataclass(frozen=True)
class Regrouped:
    """Clusters that stayed when a person had the rest grouped anew, and those that the rest falls into, by size."""

    locked_ids: tuple[int, ...]
    cluster_ids: tuple[int, ...]


@dataclass(frozen=True)
class Tree:
    """Nodes over leaves, and all that another call needs to go on from them."""

    nodes: tuple[Node, ...]
    root: int
    leaf_count: int
    noise_count: int
    cluster_count: int
    structure: Structure
    feature_names: tuple[str, ...]
    own_count: int
    """How many of the features are a cell's own; the rest are of the cells nearby."""
    variance: float
    seed: int
    projection: dict[str, Any] | None = None
    """Mean and components where columns were projected, so that other cells can be."""
    mixing: Mixing | None = None
    """Of the slides; None where there is one alone."""
    splits: tuple[Split, ...] = ()
    """What people had split, the last one last."""
    regrouped: Regrouped | None = None
    """Of the last time that the rest was grouped anew."""

    def fitted_projection(self) -> Projection | None:
        """How the columns were projected."""
        if self.projection is None:
            return None
        mean, components = (np.asarray(self.projection[name], np.float32) for name in ("mean", "components"))
        return Projection(mean, components)

    @cached_property
    def by_id(self) -> dict[int, Node]:
        return {node.id: node for node in self.nodes}

    def node(self, node_id: int) -> Node:
        if node_id not in self.by_id:
            raise NotFound(f"the tree has no node {node_id}", node_id=str(node_id))
        return self.by_id[node_id]

    def below(self, node_id: int) -> Iterator[Node]:
        """A node and all that lie below it."""
        waiting = [node_id]
        while waiting:
            node = self.node(waiting.pop())
            yield node
            waiting.extend(node.children)

    def leaves_below(self, node_id: int) -> list[int]:
        """Numbers of the leaves of a node, ascending."""
        return sorted(node.leaf for node in self.below(node_id) if node.leaf is not None)

    @property
    def parents(self) -> dict[int, int | None]:
        """Parent of each node."""
        return {node.id: node.parent for node in self.nodes}

    def cut_nodes(self, cluster_count: int, below: int | None = None) -> list[int]:
        """Nodes of the cut with at most so many clusters: from the root, or another node, the highest one is opened
        first.

        Cuts are nested, because each is the one before with one more node opened.
        """
        top = self.node(self.root if below is None else below)
        clusters = {top.id}
        for node in self.opened(top):
            if len(clusters) + len(node.children) - 1 > cluster_count:
                break
            clusters.remove(node.id)
            clusters.update(node.children)
        return sorted(clusters)

    def opened(self, top: Node) -> Iterator[Node]:
        """Nodes of a node's tree in the order in which ever finer cuts open them."""
        waiting = [(-top.height, top.id)] if top.children else []
        while waiting:
            node = self.node(heapq.heappop(waiting)[1])
            yield node
            for child in map(self.node, node.children):
                if child.children:
                    heapq.heappush(waiting, (-child.height, child.id))

    def node_of_leaf(self, cluster_count: int) -> list[int]:
        """Node of each leaf in a cut."""
        nodes = [0] * self.leaf_count
        for node_id in self.cut_nodes(max(1, cluster_count)):
            for leaf in self.leaves_below(node_id):
                nodes[leaf] = node_id
        return nodes

    def leaf_radii(self) -> Floats:
        radii = np.zeros(self.leaf_count, np.float32)
        for node in self.nodes:
            if node.leaf is not None:
                radii[node.leaf] = node.radius
        return radii


def to_json(tree: Tree) -> bytes:
    """Canonical bytes of a tree: equal trees have equal bytes."""
    facts = {name: value for name, value in asdict(tree).items() if name not in OPTIONAL or value}
    return json.dumps(facts, separators=(",", ":"), sort_keys=True, allow_nan=False).encode()


def from_json(content: bytes) -> Tree:
    """The tree of an artifact."""
    try:
        stored = json.loads(content)
        nodes = tuple(_node(entry) for entry in stored.pop("nodes"))
        structure = Structure(**stored.pop("structure"))
        names = tuple(stored.pop("feature_names"))
        mixing = of_json(stored.pop("mixing")) if "mixing" in stored else None
        splits = tuple(Split(one["node_id"], tuple(one["part_ids"])) for one in stored.pop("splits", ()))
        regrouped = _regrouped(**stored.pop("regrouped")) if "regrouped" in stored else None
        told = Tree(nodes=nodes, structure=structure, feature_names=names, **stored)
        return replace(told, mixing=mixing, splits=splits, regrouped=regrouped)
    except (ValueError, TypeError, KeyError) as error:
        raise ArtifactInvalid("this is no tree of clusters") from error


def _regrouped(locked_ids: Sequence[int], cluster_ids: Sequence[int]) -> Regrouped:
    return Regrouped(tuple(locked_ids), tuple(cluster_ids))


def _node(entry: dict[str, Any]) -> Node:
    node = Node(**entry)
    return replace(node, children=tuple(node.children), representatives=tuple(node.representatives))


def ward(centres: Floats, sizes: Rows, radii: Floats) -> tuple[Node, ...]:
    """Ward's hierarchy over leaves by size. Leaf l is node l + 1; merged nodes follow in the order of merging."""
    count = len(centres)
    nodes = [Node(leaf + 1, None, (), 0.0, int(sizes[leaf]), leaf, radius=float(radii[leaf])) for leaf in range(count)]
    forest = _Forest(centres.astype(np.float64), sizes.astype(np.float64))
    node_at = list(range(1, count + 1))
    for _ in range(count - 1):
        first, second, cost = forest.merge_cheapest()
        children = (node_at[first], node_at[second])
        size = sum(nodes[child - 1].cell_count for child in children)
        merged = Node(len(nodes) + 1, None, children, round(float(np.sqrt(2.0 * cost)), 6), size, None)
        for child in children:
            nodes[child - 1] = replace(nodes[child - 1], parent=merged.id)
        nodes.append(merged)
        node_at[first] = merged.id
    return tuple(nodes)


class _Forest:
    """What is not merged yet, with the cheapest partner of each: a merge costs what it adds to the squared error."""

    def __init__(self, centres: Doubles, sizes: Doubles) -> None:
        self._centres, self._sizes = centres.copy(), sizes.copy()
        self._alive = np.ones(len(sizes), bool)
        self._partner = np.zeros(len(sizes), np.int64)
        self._cost = np.full(len(sizes), np.inf)
        for place in range(len(sizes)):
            self._look(place)

    def merge_cheapest(self) -> tuple[int, int, float]:
        place = int(np.argmin(self._cost))
        partner, cost = int(self._partner[place]), float(self._cost[place])
        first, second = min(place, partner), max(place, partner)
        size = self._sizes[first] + self._sizes[second]
        share = self._sizes[second] / size
        self._centres[first] += share * (self._centres[second] - self._centres[first])
        self._sizes[first] = size
        self._alive[second], self._cost[second] = False, np.inf
        stale = self._alive & ((self._partner == first) | (self._partner == second))
        stale[first] = True
        for changed in np.flatnonzero(stale):
            self._look(int(changed))
        closer = self._costs(first) < self._cost
        closer &= self._alive
        closer[first] = False
        self._partner[closer], self._cost[closer] = first, self._costs(first)[closer]
        return first, second, cost

    def _look(self, place: int) -> None:
        costs = np.where(self._alive, self._costs(place), np.inf)
        costs[place] = np.inf
        self._partner[place] = int(np.argmin(costs))
        self._cost[place] = costs[self._partner[place]]

    def _costs(self, place: int) -> Doubles:
        apart = np.square(self._centres - self._centres[place]).sum(axis=1)
        joint: Doubles = self._sizes * self._sizes[place] / np.maximum(self._sizes + self._sizes[place], 1.0) * apart
        return joint


def whole(nodes: Sequence[Node]) -> int:
    """Id of the node that has no parent."""
    return next(node.id for node in nodes if node.parent is None)
