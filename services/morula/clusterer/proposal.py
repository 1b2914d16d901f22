"""How many clusters are proposed: as many as stand apart, where some do; else enough to tell kinds apart."""

from __future__ import annotations

from itertools import islice, pairwise

from morula.clusterer.tree import PROPOSED_CLUSTERS, Tree

MOST = 40
"""Clusters that stand apart are looked for among so many."""
APART = 1.7
"""Clusters stand apart whose last merge is so many times as high as the first merge within one of them. Tissue, where
kinds pass into each other, has 1.5 at most; planted kinds have 1.8 to 15."""
TWO_APART = 4.0
LEAST_SHARE = 0.1
"""Two clusters alone are more often cells and what is none: these have to lie far apart, and neither may be small."""


def proposed_count(tree: Tree) -> int:
    """Clusters in the cut that a person sees first."""
    usual = min(PROPOSED_CLUSTERS, tree.leaf_count)
    heights = [node.height for node in islice(tree.opened(tree.node(tree.root)), MOST)]
    gaps = {count: above / below for count, (above, below) in enumerate(pairwise(heights), 2) if below > 0}
    if not (tree.structure.found and gaps):
        return usual
    count = max(gaps, key=lambda count: gaps[count])
    sizes = [tree.node(node).cell_count for node in tree.cut_nodes(count)]
    # The next gap would be that of what is left: a long cloud falls in two at its middle.
    if count == 2 and (gaps[count] < TWO_APART or min(sizes) < LEAST_SHARE * sum(sizes)):
        return usual
    return count if gaps[count] >= APART else usual
