"""Labellings, their events, which are appended, read and never changed, and what was learnt from them."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from morula.common.errors import NotFound
from morula.gateway.labels.state import LabelEvent
from morula.gateway.ledger import objects
from morula.gateway.ledger.events import announce
from morula.gateway.ledger.ids import new_id, now
from morula.gateway.ledger.logs import Log
from morula.gateway.ledger.records import Part, Record, Slice, by_id, every, first, insert_if_absent, part_of
from morula.gateway.ledger.tables import label_event, label_layer, labelling

LABELS = Log(labelling, label_event)

LAYER_OBJECT_COUNT = 3
"""Objects of one version: classes, confidences, the model."""


def create_labelling(tx: Connection, clustering_id: str, label_set_id: str, cluster_count: int) -> str:
    """Add a labelling without events."""
    labelling_id = new_id()
    references = {"clustering_id": clustering_id, "label_set_id": label_set_id}
    tx.execute(
        insert(labelling).values(id=labelling_id, seq=0, cluster_count=cluster_count, created_at=now(), **references)
    )
    announce(tx, "labelling", labelling_id)
    return labelling_id


def fill_labelling(
    tx: Connection, labelling_id: str, label_set_id: str, events: Sequence[LabelEvent], moved: Mapping[str, Any]
) -> bool:
    """Begin a labelling with events of another one; whether it was empty still, else nothing changes."""
    change = update(labelling).where(labelling.c.id == labelling_id, labelling.c.seq == 0)
    values = {"seq": len(events), "label_set_id": label_set_id, "moved": dict(moved)}
    if tx.execute(change.values(**values).returning(labelling.c.id)).first() is None:
        return False
    rows = [{**vars(event), "body": dict(event.body), "labelling_id": labelling_id} for event in events]
    tx.execute(insert(label_event), rows)
    announce(tx, "labelling", labelling_id)
    return True


def get_labelling(tx: Connection, labelling_id: str) -> Record:
    """The labelling with this id."""
    return by_id(tx, labelling, labelling_id)


def find_labelling(tx: Connection, labelling_id: str | None) -> Record | None:
    """The labelling with this id, if there is one."""
    return first(tx, select(labelling).where(labelling.c.id == labelling_id))


def list_labellings(tx: Connection, clustering_id: str, wanted: Slice) -> Part:
    """Labellings of a clustering, oldest first."""
    query = select(labelling).where(labelling.c.clustering_id == clustering_id)
    return part_of(tx, query, labelling.c.id, wanted)


def set_cut(tx: Connection, labelling_id: str, cluster_count: int) -> None:
    """Choose the cut that the labelling is looked at with."""
    get_labelling(tx, labelling_id)
    tx.execute(update(labelling).where(labelling.c.id == labelling_id).values(cluster_count=cluster_count))
    announce(tx, "labelling", labelling_id)


def append_event(
    tx: Connection, labelling_id: str, actor: str, kind: str, body: Mapping[str, Any], expected_seq: int | None
) -> int:
    """Append an event and return its number; Stale where someone else appended since `expected_seq`."""
    return LABELS.append(tx, labelling_id, actor, kind, body, expected_seq)


def part_of_events(tx: Connection, labelling_id: str, wanted: Slice) -> Part:
    """Events of a labelling, oldest first."""
    return LABELS.part(tx, labelling_id, wanted)


def list_events(tx: Connection, labelling_id: str, after: int = 0) -> list[LabelEvent]:
    """Events of a labelling that follow this one, oldest first."""
    return LABELS.after(tx, labelling_id, after)


def keep_layer(
    tx: Connection, labelling_id: str, seq: int, cluster_count: int, learnt: Mapping[str, Any], learned_s: float
) -> None:
    """Keep what was learnt; if it was learnt twice, the first stays."""
    by_id(tx, labelling, labelling_id, lock=True)
    address = {"labelling_id": labelling_id, "seq": seq, "cluster_count": cluster_count}
    if insert_if_absent(tx, label_layer, {"learnt": dict(learnt), "learned_s": learned_s, **address}):
        announce(tx, "labelling", labelling_id)


def prune_layers(tx: Connection, keep_count: int, before: float) -> None:
    """Delete all but a labelling's newest layers, and release what others left that was claimed before `before`."""
    for labelling_id in objects.owners_of_many(tx, "labelling", LAYER_OBJECT_COUNT * keep_count):
        by_id(tx, labelling, labelling_id, lock=True)
        mine = label_layer.c.labelling_id == labelling_id
        newest = select(label_layer.c.seq).where(mine).order_by(label_layer.c.seq.desc())
        numbers: Sequence[int] = tx.execute(newest.limit(keep_count)).scalars().all()
        if numbers:
            tx.execute(delete(label_layer).where(mine, label_layer.c.seq < numbers[-1]))
        # More layers than `keep_count` may be left: all cuts of one version stay or go together.
        left: Sequence[Mapping[str, Any]] = tx.execute(select(label_layer.c.learnt).where(mine)).scalars().all()
        # An object claimed a moment ago may belong to a layer that is being learnt now: equal labels give equal keys.
        objects.release(tx, labelling_id, but=[key for learnt in left for key in _keys(learnt)], before=before)


def lose_layers(tx: Connection, labelling_id: str, key: str, sound: str | None) -> None:
    """Delete layers that name this object with another digest than `sound`, the digest that it has."""
    by_id(tx, labelling, labelling_id, lock=True)
    mine = label_layer.c.labelling_id == labelling_id
    for row in every(tx, select(label_layer).where(mine)):
        named = [ref for ref in _refs(row["learnt"]) if ref["key"] == key and ref["sha256"] != sound]
        if named:
            same = (label_layer.c.seq == row["seq"]) & (label_layer.c.cluster_count == row["cluster_count"])
            tx.execute(delete(label_layer).where(mine, same))


def _keys(learnt: Mapping[str, Any]) -> list[str]:
    return [ref["key"] for ref in _refs(learnt)]


def _refs(learnt: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [ref for ref in learnt.values() if isinstance(ref, dict) and ref.get("key")]


def newest_layer(tx: Connection, labelling_id: str, cluster_count: int) -> Record | None:
    """The layer of the newest event learnt from; of several, the one under this cut."""
    query = select(label_layer).where(label_layer.c.labelling_id == labelling_id)
    query = query.order_by(label_layer.c.seq.desc(), (label_layer.c.cluster_count == cluster_count).desc()).limit(1)
    return first(tx, query)


def get_layer(tx: Connection, labelling_id: str, seq: int) -> Record:
    """What was learnt from the events up to `seq`; layers of one `seq` are the same under all cuts."""
    query = select(label_layer).where(label_layer.c.labelling_id == labelling_id, label_layer.c.seq == seq).limit(1)
    row = first(tx, query)
    if row is None:
        raise NotFound("The labelling has no layers of this version.", labelling_id=labelling_id, version=str(seq))
    return row
