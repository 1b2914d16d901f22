"""Adding cells of another slide to a finished clustering: they get its leaves, and change nothing of what is there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from morula.clusterer import core, leaves
from morula.clusterer.arrays import Halves, Leaves, Rows
from morula.clusterer.core import Clustered
from morula.clusterer.layout import placed
from morula.clusterer.tree import Tree
from morula.common.compute import Checkpoint, go_on
from morula.common.errors import ModelMismatch
from morula.common.formats import NOISE_LEAF


@threadpool_limits.wrap(1)  # type: ignore[untyped-decorator] # as a clustering is made, whatever the machine
def add(
    before: Clustered, matrix: Halves, rows: Halves, known: NDArray[np.bool_], checkpoint: Checkpoint = go_on
) -> Clustered:
    """The clustering with these rows behind its own. What is too far from every leaf gets none, and neither does a cell
    of which nothing is known."""
    if rows.shape[1] != matrix.shape[1]:
        raise ModelMismatch(f"the clustering has {matrix.shape[1]} features, these cells {rows.shape[1]}")
    model = core.leaf_model(matrix, before.leaf, before.tree)
    assigned = leaves.assign(rows, model, checkpoint)
    leaf = np.where(known, assigned.leaf, NOISE_LEAF).astype(np.uint16)
    confidence = np.where(known, assigned.confidence, 0).astype(np.uint8)
    places, _ = leaves.means(before.layout, before.leaf, before.tree.leaf_count)
    position = np.clip(placed(rows, model.centres, places), -1.0, 1.0).astype(np.float16)
    both = np.concatenate([before.leaf, leaf])
    return Clustered(
        both,
        np.concatenate([before.confidence, confidence]),
        np.concatenate([before.layout, position]),
        _counted(before.tree, both),
    )


def _counted(tree: Tree, leaf: Leaves) -> Tree:
    """The same nodes with what they hold now. How slides mix was told of others."""
    sizes: Rows = np.bincount(leaf, minlength=NOISE_LEAF + 1)
    nodes = tuple(replace(node, cell_count=int(sizes[tree.leaves_below(node.id)].sum())) for node in tree.nodes)
    return replace(tree, nodes=nodes, noise_count=int(sizes[NOISE_LEAF]), mixing=None)
