"""For whom the store's objects are kept, and which are to be deleted.

An owner (slide, job, labelling, truth, upload) claims a key before it looks whether the object is there or writes it.
When an owner releases an object that no other owner uses, the same transaction dooms it; the store loses it later.
Deleting may take long and a transaction must not, so the row of a doomed object says who is deleting it and stays until
the object is gone. A claim therefore finds an object that stays, or waits until it is gone, but never one that is about
to be deleted. If a process dies, the rows say what is left to do.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, delete, func, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite

from morula.common.errors import Busy, NotFound
from morula.gateway.ledger import artifacts
from morula.gateway.ledger.ids import now
from morula.gateway.ledger.records import Record
from morula.gateway.ledger.tables import doomed_object, job, labelling, object_use, slide, slide_file, truth

OWNERS: dict[str, Table] = {"slide": slide, "job": job, "labelling": labelling, "truth": truth}
UPLOAD = "upload"
"""Owner of the objects of an upload until they are a slide. It has no row of its own; it is forgotten after a time."""

CLAIMED_AT_ONCE = 500
"""Number of keys in one statement, because a statement takes a limited number of parameters."""


class Going(NamedTuple):
    """An object that is being deleted: who deletes it, and a count that grows while that process is alive."""

    key: str
    taker: str
    beat: int


def claim(tx: Connection, kind: str, owner_id: str, keys: Iterable[str]) -> None:
    """Keep these objects for an owner; NotFound if the owner is gone, Busy while one of them is being deleted."""
    generation = _hold_owner(tx, kind, owner_id)
    # Sorted, so that two claims lock rows in the same order and cannot deadlock.
    ordered = sorted(set(keys))
    for start in range(0, len(ordered), CLAIMED_AT_ONCE):
        _claim(tx, kind, owner_id, generation, ordered[start : start + CLAIMED_AT_ONCE])


def _hold_owner(tx: Connection, kind: str, owner_id: str) -> int:
    """Keep the owner from being deleted; its generation, where it has any."""
    owner = OWNERS.get(kind)
    if owner is None:
        return 0
    generation = owner.c.generation if owner is job else literal(0)
    query = select(generation).where(owner.c.id == owner_id).with_for_update(read=True, key_share=True, of=owner)
    row = tx.execute(query).first()
    if row is None:
        raise NotFound(f"There is no {kind} with this id.", **{f"{kind}_id": owner_id})
    return int(row[0])


def _claim(tx: Connection, kind: str, owner_id: str, generation: int, ordered: Sequence[str]) -> None:
    held = _hold(tx, ordered)
    if any(held.values()):
        raise Busy("An earlier object of the same name is just being deleted; try again soon.")
    tx.execute(delete(doomed_object).where(doomed_object.c.key.in_(ordered)))
    fixed = {"owner_id": owner_id, "owner_kind": kind, "since": now(), "generation": generation}
    insert = _insert(tx, object_use)
    renewed = {"since": insert.excluded.since, "generation": insert.excluded.generation}
    uses = [{"key": key, **fixed} for key in ordered]
    tx.execute(insert.on_conflict_do_update(index_elements=["key", "owner_id"], set_=renewed), uses)


def hand_over(tx: Connection, owner_id: str, kind: str, new_owner_id: str) -> None:
    """Keep for another owner what was kept for this one."""
    change = update(object_use).where(object_use.c.owner_id == owner_id)
    tx.execute(change.values(owner_id=new_owner_id, owner_kind=kind, since=now()))


def release(
    tx: Connection,
    owner_id: str,
    *,
    stage: str | None = None,
    keys: Sequence[str] | None = None,
    but: Sequence[str] = (),
    before: float | None = None,
) -> None:
    """Release objects of an owner: all, or only those of a stage, of `keys`, not of `but`, or last claimed `before`."""
    mine = object_use.c.owner_id == owner_id
    if stage is not None:
        mine &= _of_stage(stage)
    if keys is not None:
        mine &= object_use.c.key.in_(keys)
    if but:
        mine &= object_use.c.key.not_in(but)
    if before is not None:
        mine &= object_use.c.since < before
    _release(tx, mine)


def owners_of_many(tx: Connection, kind: str, count: int) -> list[str]:
    """Owners of this kind that have more than `count` objects."""
    owners = select(object_use.c.owner_id).where(object_use.c.owner_kind == kind).group_by(object_use.c.owner_id)
    return sorted(tx.execute(owners.having(func.count() > count)).scalars())


def release_uploads(tx: Connection, before: float) -> None:
    """Forget uploads that began before this time: their process must have died."""
    _release(tx, (object_use.c.owner_kind == UPLOAD) & (object_use.c.since < before))


def release_stage(tx: Connection, stage: str, before: float) -> None:
    """Release for all owners the objects of a stage that were last claimed before this time."""
    _release(tx, _of_stage(stage) & (object_use.c.since < before))


def forget(tx: Connection, owner_id: str, to_doom: Sequence[str]) -> None:
    """Release all objects of an owner, but doom only `to_doom`: the others may belong to someone without a row here."""
    release(tx, owner_id, keys=to_doom)
    tx.execute(delete(object_use).where(object_use.c.owner_id == owner_id))


def doom(tx: Connection, keys: Iterable[str]) -> None:
    """Mark objects that no row names as to be deleted."""
    rows = [{"key": key, "since": now()} for key in sorted(set(keys))]
    if rows:
        tx.execute(_insert(tx, doomed_object).on_conflict_do_nothing(), rows)


def doomed_keys(tx: Connection, limit: int, before: float) -> list[str]:
    """Objects that are to be deleted by now, the longest doomed first."""
    query = select(doomed_object.c.key).where(doomed_object.c.since <= before)
    return list(tx.execute(query.order_by(doomed_object.c.since, doomed_object.c.key).limit(limit)).scalars())


def keys_to_bury(tx: Connection, limit: int) -> list[str]:
    """Objects that are to be deleted by now and that nobody is deleting, the longest doomed first."""
    row = doomed_object.c
    query = select(row.key).where(row.since <= now(), row.taker.is_(None))
    return list(tx.execute(query.order_by(row.since, row.key).limit(limit)).scalars())


def going(tx: Connection) -> list[Going]:
    """The objects that are being deleted now."""
    row = doomed_object.c
    query = select(row.key, row.taker, row.beat).where(row.taker.is_not(None))
    return [Going(doomed.key, doomed.taker, doomed.beat) for doomed in tx.execute(query)]


def free(tx: Connection, lost: Iterable[Going]) -> None:
    """Let others delete these objects, unless the process that was deleting them has counted on meanwhile."""
    for stalled in sorted(lost):
        taken = _taken(stalled.key, stalled.taker)
        tx.execute(update(doomed_object).where(*taken, doomed_object.c.beat == stalled.beat).values(taker=None))


def take(tx: Connection, key: str, taker: str) -> bool:
    """Begin to delete a doomed object; False if it is used again, or if another process is deleting it."""
    row = doomed_object.c
    held = select(row.key).where(row.key == key, row.taker.is_(None) | (row.taker == taker))
    if tx.execute(held.with_for_update(skip_locked=True)).first() is None:
        return False
    if is_used(tx, key):
        tx.execute(delete(doomed_object).where(row.key == key))
        return False
    _begin(tx, key, taker)
    return True


def take_used(tx: Connection, key: str, taker: str) -> Record | None:
    """Begin to delete an artifact that is used, so that it can be made again; Busy while another process deletes it.

    The record of how it was made, if there is one.
    """
    if _hold(tx, [key])[key] not in (None, taker):
        raise Busy("This is just being deleted; try again soon.")
    _begin(tx, key, taker)
    known = artifacts.find_made(tx, [key]).get(key)
    artifacts.note_lost(tx, key)
    return known


def carry_on(tx: Connection, key: str, taker: str) -> bool:
    """Count on, to show that an object is still being deleted; False if another process has taken it over."""
    beat = update(doomed_object).where(*_taken(key, taker)).values(beat=doomed_object.c.beat + 1)
    return bool(tx.execute(beat).rowcount)


def put_off(tx: Connection, key: str, taker: str, until: float, *, keep: bool) -> None:
    """Try an object later that the store did not delete, and others first. With `keep` no other process takes it over
    before this one counts as dead."""
    later = update(doomed_object).where(*_taken(key, taker))
    tx.execute(later.values(taker=taker if keep else None, since=until))


def bury(tx: Connection, key: str, taker: str) -> None:
    """Note that an object is deleted, unless another process took it over, which then deletes it once more."""
    gone = delete(doomed_object).where(*_taken(key, taker)).returning(doomed_object.c.key)
    if tx.execute(gone).first() is not None and not is_used(tx, key):
        artifacts.forget_made(tx, [key])


def is_used(tx: Connection, key: str) -> bool:
    """Whether an owner uses the object, or a slide was taken in by naming its key."""
    used = select(object_use.c.key).where(object_use.c.key == key)
    named = select(slide_file.c.key).where(slide_file.c.key == key)
    return tx.execute(used.union_all(named).limit(1)).first() is not None


def is_used_by(tx: Connection, key: str, owner_id: str) -> bool:
    """Whether this owner claimed the object."""
    mine = select(object_use.c.key).where(object_use.c.key == key, object_use.c.owner_id == owner_id)
    return tx.execute(mine).first() is not None


def sample(tx: Connection, limit: int) -> list[str]:
    """Some objects that should be in the store by the rows: one file of each slide first, doomed objects last."""
    rank = func.row_number().over(partition_by=slide_file.c.slide_id, order_by=slide_file.c.name)
    files = select(slide_file.c.key).order_by(rank, slide_file.c.slide_id)
    made = select(object_use.c.key).where(object_use.c.owner_kind != UPLOAD)
    keys: list[str] = []
    for query in (files, made, select(doomed_object.c.key)):
        if len(keys) < limit:
            keys += tx.execute(query.limit(limit - len(keys))).scalars()
    return keys


def _begin(tx: Connection, key: str, taker: str) -> None:
    row = doomed_object.c
    tx.execute(update(doomed_object).where(row.key == key).values(taker=taker, beat=row.beat + 1))


def _taken(key: str, taker: str) -> tuple[ColumnElement[bool], ...]:
    return doomed_object.c.key == key, doomed_object.c.taker == taker


def _hold(tx: Connection, ordered: Sequence[str]) -> dict[str, str | None]:
    """Lock the doomed rows of these keys, adding those that are missing; who is deleting each object.

    Another transaction that dooms or takes one of them waits until this one has ended.
    """
    wanted = [{"key": key, "since": now()} for key in ordered]
    row = doomed_object.c
    query = select(row.key, row.taker).where(row.key.in_(ordered)).order_by(row.key).with_for_update()
    held: dict[str, str | None] = {}
    # Another transaction may delete a row between the insert and the lock.
    while len(held) < len(ordered):
        tx.execute(_insert(tx, doomed_object).on_conflict_do_nothing(), wanted)
        held = {doomed.key: doomed.taker for doomed in tx.execute(query)}
    return held


def _of_stage(stage: str) -> ColumnElement[bool]:
    return object_use.c.key.like(f"%/{stage}/%")


def _release(tx: Connection, which: ColumnElement[bool]) -> None:
    # All released objects are doomed here; `take` spares those that another owner still uses.
    doomed = select(object_use.c.key, literal(now())).where(which).order_by(object_use.c.key)
    tx.execute(_insert(tx, doomed_object).from_select(["key", "since"], doomed).on_conflict_do_nothing())
    tx.execute(delete(object_use).where(which))


def _insert(tx: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    return postgresql.insert(table) if tx.dialect.name == "postgresql" else sqlite.insert(table)
