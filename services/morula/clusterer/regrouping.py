"""Grouping anew what a person left aside: clusters that stay keep their nodes, leaves and cells, and all others are
made of the rest alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from morula.clusterer import core, leaves
from morula.clusterer.arrays import Halves, Leaves, Rows
from morula.clusterer.core import Clustered, Grouped
from morula.clusterer.features import Features, is_unknown
from morula.clusterer.joining import Numbers, Rest, joined
from morula.clusterer.leaves import MAX_LEAVES
from morula.clusterer.tree import Tree
from morula.common.compute import Checkpoint, go_on
from morula.common.errors import InvalidArgument
from morula.common.formats import NOISE_LEAF


@dataclass(frozen=True)
class Wanted:
    """What is asked of the rest. Zero means the default."""

    cluster_count: int = 0
    """So many clusters at most in the cut that is proposed; as many as stand apart where it is zero."""
    leaf_count: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, count in (("cluster_count", self.cluster_count), ("leaf_count", self.leaf_count)):
            if not 0 <= count <= MAX_LEAVES:
                raise InvalidArgument(f"{name} must lie in 0 to {MAX_LEAVES}")

    @property
    def finest(self) -> int:
        """Leaves of the rest, at most: enough for the clusters."""
        return max(self.leaf_count or leaves.DEFAULT_LEAVES, self.cluster_count)


@threadpool_limits.wrap(1)  # type: ignore[untyped-decorator] # as a clustering is made, whatever the machine
def regroup(
    before: Clustered, matrix: Halves, locked_ids: Sequence[int], wanted: Wanted, checkpoint: Checkpoint = go_on
) -> Clustered:
    """The clustering with all cells beside those of the locked clusters grouped by themselves, noise among them.

    The cut that the tree proposes shows each locked cluster as it is, and of the rest the clusters that the rest
    proposes; finer cuts open either, coarser ones join them. Leaves are numbered without gaps: those of locked
    clusters keep their numbers, but for the highest where the rest now has fewer leaves.
    """
    tree = before.tree
    locked = _highest(tree, locked_ids)
    kept_leaves = sorted(leaf for node_id in locked for leaf in tree.leaves_below(node_id))
    rest = _rest(before, matrix, kept_leaves)
    fresh = _grouped(tree, matrix[rest], wanted, MAX_LEAVES - len(kept_leaves), checkpoint)
    numbers = _numbers(kept_leaves, fresh.tree.leaf_count)
    leaf = _renumbered(before.leaf, numbers.kept)
    leaf[rest] = _renumbered(fresh.leaf, dict(enumerate(numbers.fresh)))
    confidence = np.array(before.confidence, np.uint8)
    confidence[rest] = fresh.confidence
    checkpoint()
    return replace(
        before,
        leaf=leaf,
        confidence=confidence,
        tree=joined(tree, locked, numbers, Rest(fresh.tree, rest, wanted.cluster_count), matrix, leaf),
    )


def _highest(tree: Tree, node_ids: Iterable[int]) -> list[int]:
    """Those of these nodes that lie below no other one, ascending."""
    wanted = {tree.node(node_id).id for node_id in node_ids}
    return sorted(node_id for node_id in wanted if not wanted.intersection(_above(tree, node_id)))


def _above(tree: Tree, node_id: int) -> Iterable[int]:
    above = tree.node(node_id).parent
    while above is not None:
        yield above
        above = tree.node(above).parent


def _rest(before: Clustered, matrix: Halves, kept_leaves: Sequence[int]) -> Rows:
    """Rows to group: of no leaf that stays. Those of which nothing is known stay in no cluster."""
    stays = np.zeros(NOISE_LEAF + 1, bool)
    stays[kept_leaves] = True
    tree, noise = before.tree, np.flatnonzero(before.leaf == NOISE_LEAF)
    taken: NDArray[np.bool_] = ~stays[before.leaf]
    taken[noise] = ~is_unknown(matrix[noise], tree.fitted_projection(), tree.own_count)
    rest: Rows = np.flatnonzero(taken)
    if not len(rest):
        raise InvalidArgument("every cell is in a cluster that stays: nothing is left to group anew")
    return rest


def _grouped(tree: Tree, rows: Halves, wanted: Wanted, room: int, checkpoint: Checkpoint) -> Grouped:
    if room < 1:
        raise InvalidArgument(f"a tree has at most {MAX_LEAVES} leaves, and those that stay are as many")
    params = core.Params(leaf_count=min(wanted.finest, room), seed=wanted.seed)
    return core.group(Features(rows, tree.feature_names, tree.own_count, None), params, checkpoint=checkpoint)


def _numbers(kept_leaves: Sequence[int], fresh_count: int) -> Numbers:
    count = len(kept_leaves) + fresh_count
    staying = [leaf for leaf in kept_leaves if leaf < count]
    moving = [leaf for leaf in kept_leaves if leaf >= count]
    free = sorted(set(range(count)) - set(staying))
    moved = zip(moving, free, strict=False)
    return Numbers({leaf: leaf for leaf in staying} | dict(moved), free[len(moving) :])


def _renumbered(leaf: Leaves, numbers: Mapping[int, int]) -> Leaves:
    """By these numbers; all other leaves are none."""
    table = np.full(NOISE_LEAF + 1, NOISE_LEAF, np.uint16)
    table[list(numbers)] = list(numbers.values())
    renumbered: Leaves = table[leaf]
    return renumbered
