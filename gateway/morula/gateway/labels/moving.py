"""Takes labels along to another clustering of the same cells, by the cells' ids, which equal segmentations share.

Events that count are copied one by one; the earlier labelling stays as it is. Cells that the new clustering does not
have are left out and counted, and so are names of clusters that are others there, because the new tree is another one.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from sqlalchemy import Connection

from morula.common.errors import Conflict, MorulaError
from morula.common.formats import NOISE_LEAF
from morula.common.telemetry import log
from morula.gateway.labels.fold import counting, rows_of
from morula.gateway.labels.kinds import RULES, Elsewhere
from morula.gateway.labels.learning import Learning
from morula.gateway.labels.state import LabelEvent
from morula.gateway.ledger import boards, labels
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.records import Record
from morula.gateway.views import ClusteringView, Views

LEAST_SHARE = 0.5
"""This share of the labelled cells must be in the new clustering; else it is a clustering of other cells."""


@dataclass(frozen=True)
class Moved:
    """The events for the new labelling, numbered from 1, and how much was left out."""

    events: list[LabelEvent]
    cell_count: int
    dropped_cell_count: int
    dropped_name_count: int

    @property
    def is_of_the_same_cells(self) -> bool:
        share = LEAST_SHARE * (self.cell_count + self.dropped_cell_count)
        return bool(self.events) and self.cell_count >= share


class Moving:
    """Copies labels from one clustering's labelling to another's."""

    def __init__(self, ledger: Ledger, views: Views, learning: Learning) -> None:
        self._ledger = ledger
        self._views = views
        self._learning = learning

    async def begin(self, clustering_id: str, source_id: str) -> str:
        """A new labelling of this clustering that begins with what was said in another one."""
        source, moved = await self._moved(clustering_id, source_id)
        if not moved.is_of_the_same_cells:
            raise Conflict(
                "The labels cannot be taken along: too few of their cells are in this clustering.",
                from_labelling_id=source_id,
                cell_count=str(moved.cell_count),
                dropped_cell_count=str(moved.dropped_cell_count),
            )
        view = await self._views.get(clustering_id)
        labelling_id = await self._ledger.write(_begin, view.id, view.cluster_count, source, moved)
        await self._learning.learn(labelling_id)
        return labelling_id

    async def bring(self, clustering_id: str, labelling_id: str, source_id: str | None = None) -> None:
        """Copy the labels of one labelling, or else the latest of the same cells, if there are any, to a new one.

        An earlier labelling that cannot be read is skipped, so that the new job does not fail, and so is one of other
        cells: those of another model, or of another revision of it, have other ids.
        """
        if source_id is None:
            known_ids = await self._ledger.read(boards.labelled_before, clustering_id)
        else:
            known_ids = [source_id]
        for known_id in known_ids:
            try:
                source, moved = await self._moved(clustering_id, known_id)
            except MorulaError as error:
                log.warning("labels cannot be moved", from_labelling_id=known_id, reason=error.reason)
                continue
            if moved.is_of_the_same_cells:
                if await self._ledger.write(_bring, labelling_id, source, moved):
                    await self._learning.learn(labelling_id)
                return
            log.info(
                "labels stay where they are",
                from_labelling_id=known_id,
                cell_count=moved.cell_count,
                dropped_cell_count=moved.dropped_cell_count,
            )

    async def _moved(self, clustering_id: str, source_id: str) -> tuple[Record, Moved]:
        snapshot = await self._learning.snapshot(source_id)
        before = await self._views.get(snapshot.row["clustering_id"])
        after = await self._views.get(clustering_id)
        return snapshot.row, await asyncio.to_thread(moved_events, snapshot.events, before, after)


def _begin(tx: Connection, clustering_id: str, cluster_count: int, source: Record, moved: Moved) -> str:
    labelling_id = labels.create_labelling(tx, clustering_id, source["label_set_id"], cluster_count)
    _bring(tx, labelling_id, source, moved)
    return labelling_id


def _bring(tx: Connection, labelling_id: str, source: Record, moved: Moved) -> bool:
    """Whether the events were copied; False if the labelling has events already."""
    summary = {
        "from_labelling_id": source["id"],
        "cell_count": moved.cell_count,
        "dropped_cell_count": moved.dropped_cell_count,
        "dropped_name_count": moved.dropped_name_count,
    }
    return labels.fill_labelling(tx, labelling_id, source["label_set_id"], moved.events, summary)


def moved_events(events: Sequence[LabelEvent], before: ClusteringView, after: ClusteringView) -> Moved:
    """The events that count, with the rows of the other clustering."""
    counted = counting(events)
    rows = sorted({row for event in counted for row in rows_of(event)})
    row_after = _rows_after(before, after, rows)
    there = Elsewhere(row_after, kept_nodes(before, after), partial(_place, after))
    kept: list[LabelEvent] = []
    for event in counted:
        body = RULES[event.kind].moved(event.body, there)
        if body is not None:
            kept.append(LabelEvent(len(kept) + 1, event.kind, body, event.actor, event.time))
    names = {event.body["node_id"] for event in counted if event.kind == "cluster_named"} - there.kept_nodes
    return Moved(kept, len(row_after), len(rows) - len(row_after), len(names))


def kept_nodes(before: ClusteringView, after: ClusteringView) -> set[int]:
    """Nodes that hold the same cells of the clustering before in both; none where its rows are not the first there."""
    indexes = [[slide.settled.index.sha256 for slide in view.slides] for view in (before, after)]
    if indexes[0] != indexes[1][: len(indexes[0])]:
        return set()
    both = np.unique(before.leaf.astype(np.uint32) << 16 | after.leaf[: before.cell_count])
    here, there = (both >> 16).tolist(), (both & 0xFFFF).tolist()
    parts_here, parts_there = _parts(before, here), _parts(after, there)
    return {node_id for node_id in parts_here.keys() & parts_there if parts_here[node_id] == parts_there[node_id]}


def _parts(view: ClusteringView, leaf_of_part: Sequence[int]) -> dict[int, set[int]]:
    """For each node, what lies in it of cells that are parted by their leaves in two clusterings."""
    of_leaf: dict[int, set[int]] = {}
    for part, leaf in enumerate(leaf_of_part):
        of_leaf.setdefault(leaf, set()).add(part)
    below = view.leaves_below.items()
    return {node_id: set().union(*(of_leaf.get(leaf, ()) for leaf in leaves)) for node_id, leaves in below}


def _rows_after(before: ClusteringView, after: ClusteringView, rows: Sequence[int]) -> dict[int, int]:
    """For each of these rows, its row in the other clustering, if its cell is there."""
    row_after: dict[int, int] = {}
    for slide in before.slides:
        mine = [row for row in rows if slide.row_start <= row < slide.row_stop]
        ids = slide.cell_ids([row - slide.row_start for row in mine])
        for other in after.slides:
            pairs = zip(mine, other.rows_of(ids), strict=True)
            row_after.update((row, place) for row, place in pairs if place is not None)
    return row_after


def _place(after: ClusteringView, rows: Sequence[int]) -> dict[str, int]:
    """The leaf with most of the page's cells in the new clustering: the next pages begin elsewhere."""
    leaves, counts = np.unique(after.leaf[list(rows)], return_counts=True)
    leaf = int(leaves[counts.argmax()])
    node = next(
        node for node in after.nodes.values() if (node.parent is None if leaf == NOISE_LEAF else node.leaf == leaf)
    )
    return {"node_id": node.id, "leaf": leaf, "cell_count": node.cell_count}
