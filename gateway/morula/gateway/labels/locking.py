"""Which clusters stay as they are when all others are grouped anew: those that somebody named."""

from collections.abc import Iterator

from morula.gateway.labels.learning import Snapshot, TreeCut
from morula.gateway.views import ClusteringView


def locked_nodes(snapshot: Snapshot, view: ClusteringView, cut: TreeCut) -> list[int]:
    """Clusters that were named whole, those of the cut that their seen cells give a name, and those of the cut of which
    a page was named; of one within another, the upper. Pages of several clusters at once and single cells lock none."""
    by_seen_cells = {name.node_id for name in snapshot.learnt.answer.effective_names} & set(cut.nodes)
    named = {*snapshot.labels.names, *by_seen_cells, *_named_by_page(snapshot, view, cut)} & view.parents.keys()
    return sorted(node_id for node_id in named if not named.intersection(_above(view, node_id)))


def _named_by_page(snapshot: Snapshot, view: ClusteringView, cut: TreeCut) -> Iterator[int]:
    """Told by where their cells lie: where a page was shown is another cluster under another cut or tree."""
    cluster_of = dict(enumerate(cut.node_of_leaf))
    rows: dict[int, list[int]] = {}
    for row, word in snapshot.labels.words.items():
        if word.page_class is not None:
            rows.setdefault(word.page, []).append(row)
    for of_page in rows.values():
        clusters = {cluster_of.get(leaf) for leaf in set(view.leaf[of_page].tolist())}
        if len(clusters) == 1:
            yield from (node_id for node_id in clusters if node_id is not None)


def _above(view: ClusteringView, node_id: int) -> Iterator[int]:
    """Nodes above one, the nearest first."""
    above = view.parents[node_id]
    while above is not None:
        yield above
        above = view.parents[above]
