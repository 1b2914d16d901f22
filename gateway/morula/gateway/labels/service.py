"""The state of labellings as the API shows it, and the effective label of every cell."""

import asyncio
from collections.abc import Sequence

import numpy as np

from morula.common.cluster_names import inherit_names
from morula.common.store import Store
from morula.gateway.label_schemas import ClassCount, Cut, HeldOut, LabelClass, LabelSet, LastEvent, NamedCluster, State
from morula.gateway.labels.effective import NOT_SURE, Effective, Spread, effective, spread_classes
from morula.gateway.labels.kinds import RULES
from morula.gateway.labels.learning import Learning, Learnt, Snapshot, TreeCut
from morula.gateway.labels.locking import locked_nodes
from morula.gateway.labels.state import LabelEvent
from morula.gateway.ledger import label_sets
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.label_sets import NOT_A_CELL
from morula.gateway.ledger.records import Record
from morula.gateway.views import ClusteringView, Views
from morula.v1.labeller_pb2 import SPREAD_CLUSTERS, SPREAD_MODEL

SPREADS: dict[int, Spread] = {SPREAD_MODEL: "model", SPREAD_CLUSTERS: "clusters"}
DIGITS = "1234567890"


class Labelling:
    """State of labellings, and their effective labels."""

    def __init__(self, ledger: Ledger, store: Store, views: Views, learning: Learning) -> None:
        self._ledger = ledger
        self._store = store
        self._views = views
        self.learning = learning

    async def state(self, labelling_id: str) -> State:
        """The labelling as it is now. If the labeller is behind, the state shows that, and catching up begins."""
        return await self.learning.reading(labelling_id, lambda: self._state(labelling_id))

    async def _state(self, labelling_id: str) -> State:
        snapshot = await self.learning.snapshot(labelling_id)
        if snapshot.is_behind:
            self.learning.catch_up(labelling_id)
        view = await self._views.get(snapshot.row["clustering_id"])
        label_set = await self.label_set(snapshot.row["label_set_id"])
        cut = await self.learning.cut(view, snapshot.row["cluster_count"])
        effective_labels = await asyncio.to_thread(self._effective, view, snapshot, cut.node_of_leaf)
        return _state(snapshot, view, label_set, effective_labels, cut)

    async def effective(self, labelling_id: str) -> tuple[Snapshot, ClusteringView, Effective]:
        """The effective label of every row."""
        snapshot = await self.learning.snapshot(labelling_id)
        view = await self._views.get(snapshot.row["clustering_id"])
        cut = await self.learning.cut(view, snapshot.row["cluster_count"])
        return snapshot, view, await asyncio.to_thread(self._effective, view, snapshot, cut.node_of_leaf)

    async def shown_cut(self, labelling_id: str) -> Cut:
        """The cut that the labelling is shown with, and the names of its clusters."""
        snapshot = await self.learning.snapshot(labelling_id)
        view = await self._views.get(snapshot.row["clustering_id"])
        cut = await self.learning.cut(view, snapshot.row["cluster_count"])
        names = [{"node_id": node, "class_number": number} for node, number in _names(snapshot.learnt).items()]
        return Cut(cluster_count=snapshot.row["cluster_count"], node_of_leaf=list(cut.node_of_leaf), names=names)

    async def locked(self, labelling_id: str) -> list[int]:
        """Clusters that stay when the rest is grouped anew, with all that can be known of what was said."""
        await self.learning.learn(labelling_id)
        snapshot = await self.learning.snapshot(labelling_id)
        view = await self._views.get(snapshot.row["clustering_id"])
        return locked_nodes(snapshot, view, await self.learning.cut(view, snapshot.row["cluster_count"]))

    async def label_set(self, label_set_id: str) -> LabelSet:
        """A label set with its classes."""
        row = await self._ledger.read(label_sets.get_label_set, label_set_id)
        classes = await self._ledger.read(label_sets.list_classes, label_set_id)
        return label_set_answer(row, classes)

    def _effective(self, view: ClusteringView, snapshot: Snapshot, node_of_leaf: Sequence[int]) -> Effective:
        learnt = snapshot.learnt
        spread = SPREADS.get(learnt.answer.spread, "none")
        layer = None
        if spread == "model" and learnt.has_layers:
            stored = self._store.get(learnt.answer.class_layer.key, learnt.answer.class_layer.sha256)
            layer = np.frombuffer(stored, np.uint8)
        spreading = spread_classes(view.leaf, node_of_leaf, _names(learnt), spread, layer)
        return effective(spread, spreading, snapshot.labels.marks, snapshot.labels.odd)


def _names(learnt: Learnt) -> dict[int, int]:
    return {name.node_id: name.class_number for name in learnt.answer.effective_names}


def label_set_answer(row: Record, classes: Sequence[Record]) -> LabelSet:
    """The set with its own classes out of these."""
    mine = [_class(one) for one in classes if one["label_set_id"] == row["id"]]
    return LabelSet(id=row["id"], name=row["name"], classes=mine)


def _class(row: object) -> LabelClass:
    values = dict(row)  # type: ignore[call-overload]
    number = values["number"]
    key = "X" if number == NOT_A_CELL else DIGITS[number - 1] if number <= len(DIGITS) else None
    return LabelClass(number=number, name=values["name"], color=values["color"], key=key)


def _state(
    snapshot: Snapshot, view: ClusteringView, label_set: LabelSet, effective_labels: Effective, cut: TreeCut
) -> State:
    labels, learnt, nodes = snapshot.labels, snapshot.learnt, cut.nodes
    counts = np.bincount(effective_labels.classes, minlength=256)
    explicit = inherit_names(labels.names, nodes, view.parents)
    names = {**_names(learnt), **explicit}
    held_out = learnt.answer.held_out
    return State(
        id=snapshot.row["id"],
        clustering_id=view.id,
        label_set=label_set,
        seq=labels.seq,
        learned_seq=learnt.seq,
        version=learnt.seq if learnt.has_layers else 0,
        spread=SPREADS.get(learnt.answer.spread, "none"),
        held_out=HeldOut.model_validate(held_out) if held_out.cell_count else None,
        cell_count=view.cell_count,
        sure_count=learnt.answer.sure_count,
        seen_count=len(labels.seen_rows),
        page_count=len(labels.pages),
        mark_count=labels.mark_count,
        class_counts=[
            ClassCount(class_number=one.number, cell_count=int(counts[one.number])) for one in label_set.classes
        ],
        unlabelled_count=int(counts[0] + counts[NOT_SURE]),
        cluster_names=[
            NamedCluster(node_id=node, class_number=number, explicit=node in explicit)
            for node, number in sorted(names.items())
            if node in nodes
        ],
        locked_node_ids=locked_nodes(snapshot, view, cut),
        cluster_count=snapshot.row["cluster_count"],
        marks=sorted(labels.marks.items()),
        odd=sorted(labels.odd.items()),
        learned_s=learnt.learned_s if learnt.seq else None,
        last_event=_last_event(labels.last, label_set) if labels.last else None,
        can_undo=labels.last is not None,
        moved=snapshot.row["moved"],
    )


def _last_event(event: LabelEvent, label_set: LabelSet) -> LastEvent:
    names: dict[int | None, str] = {one.number: one.name for one in label_set.classes}
    return LastEvent(seq=event.seq, kind=event.kind, sentence=RULES[event.kind].sentence(event.body, names))
