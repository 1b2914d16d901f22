"""For whom the store's objects are kept, and which are to be deleted.

Whoever may write an object claims its key first, before looking whether it is there. What an owner lets go of, and
nobody else uses, is doomed in the same transaction, and deleted from the store later. A store may take long, which a
transaction must not: the row of a doomed object says who is deleting it, and stays until that is done. So a claim finds
an object that is still used, or waits and finds that it is gone, but never one that is about to go; and whenever a
process dies, the rows say what is left to do.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, delete, func, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite

from morula.common.errors import Busy, NotFound
from morula.gateway.ledger import artifacts
from morula.gateway.ledger.ids import now
from morula.gateway.ledger.tables import doomed_object, job, labelling, object_use, slide, slide_file

OWNERS: dict[str, Table] = {"slide": slide, "job": job, "labelling": labelling}
UPLOAD = "upload"
"""Owner of what becomes a slide; it has no row, and is forgotten when nobody can still be at work on it."""


CLAIMED_AT_ONCE = 500
"""So many keys are named in one statement, which takes a limited number of parameters."""


class Going(NamedTuple):
    """An object that is being deleted: by whom, and a count that grows as long as they are at it."""

    key: str
    taker: str
    beat: int


def claim(tx: Connection, kind: str, owner_id: str, keys: Iterable[str]) -> None:
    """Have these objects kept for an owner; NotFound where it is gone, Busy while one of them is being deleted."""
    generation = _hold_owner(tx, kind, owner_id)
    # In one order, so that claims wait for each other and never in a circle.
    ordered = sorted(set(keys))
    for start in range(0, len(ordered), CLAIMED_AT_ONCE):
        _claim(tx, kind, owner_id, generation, ordered[start : start + CLAIMED_AT_ONCE])


def _hold_owner(tx: Connection, kind: str, owner_id: str) -> int:
    """Keep the owner from being deleted; its generation, where it has any."""
    owner = OWNERS.get(kind)
    if owner is None:
        return 0
    generation = owner.c.generation if owner is job else literal(0)
    found = select(generation).where(owner.c.id == owner_id).with_for_update(read=True, key_share=True, of=owner)
    row = tx.execute(found).first()
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
    """Have what was kept for one owner kept for another."""
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
    """Let go of an owner's objects: all, or those of a stage, of these keys, of all but these, last claimed before."""
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
    """Who of this kind has more objects than this."""
    owners = select(object_use.c.owner_id).where(object_use.c.owner_kind == kind).group_by(object_use.c.owner_id)
    return sorted(tx.execute(owners.having(func.count() > count)).scalars())


def release_uploads(tx: Connection, before: float) -> None:
    """Forget uploads that began before: their process died."""
    _release(tx, (object_use.c.owner_kind == UPLOAD) & (object_use.c.since < before))


def release_stage(tx: Connection, stage: str, before: float) -> None:
    """Have all let go of a stage's objects that were last claimed before."""
    _release(tx, _of_stage(stage) & (object_use.c.since < before))


def forget(tx: Connection, owner_id: str, to_doom: Sequence[str]) -> None:
    """Let go of all that an owner has, but doom only these of it: others may be somebody's who has no row here."""
    release(tx, owner_id, keys=to_doom)
    tx.execute(delete(object_use).where(object_use.c.owner_id == owner_id))


def doom(tx: Connection, keys: Iterable[str]) -> None:
    """Have objects deleted that no row names."""
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
    """What is being deleted."""
    row = doomed_object.c
    query = select(row.key, row.taker, row.beat).where(row.taker.is_not(None))
    return [Going(found.key, found.taker, found.beat) for found in tx.execute(query)]


def free(tx: Connection, lost: Iterable[Going]) -> None:
    """Take these objects from who was deleting them, unless their beat goes on."""
    for one in sorted(lost):
        still = update(doomed_object).where(*_taken(one.key, one.taker), doomed_object.c.beat == one.beat)
        tx.execute(still.values(taker=None))


def take(tx: Connection, key: str, taker: str) -> bool:
    """Begin to delete a doomed object; False where it is not to go, or where another is at it."""
    row = doomed_object.c
    held = select(row.key).where(row.key == key, row.taker.is_(None) | (row.taker == taker))
    if tx.execute(held.with_for_update(skip_locked=True)).first() is None:
        return False
    if is_used(tx, key):
        tx.execute(delete(doomed_object).where(row.key == key))
        return False
    _begin(tx, key, taker)
    return True


def take_used(tx: Connection, key: str, taker: str) -> str:
    """Begin to delete an artifact that is used, to have it made anew; Busy while another is at it.

    Comes back with the digest with which it was made, as far as that is known.
    """
    if _hold(tx, [key])[key] not in (None, taker):
        raise Busy("This is just being deleted; try again soon.")
    _begin(tx, key, taker)
    known = artifacts.find_made(tx, [key]).get(key)
    artifacts.note_lost(tx, key)
    return artifacts.UNKNOWN if known is None else str(known["sha256"])


def carry_on(tx: Connection, key: str, taker: str) -> bool:
    """Say that an object is still being deleted; False where it was taken away."""
    beat = update(doomed_object).where(*_taken(key, taker)).values(beat=doomed_object.c.beat + 1)
    return bool(tx.execute(beat).rowcount)


def put_off(tx: Connection, key: str, taker: str, until: float, *, keep: bool) -> None:
    """The store did not delete an object: try later, and others first. Kept, it is not free before its beat is lost."""
    later = update(doomed_object).where(*_taken(key, taker))
    tx.execute(later.values(taker=taker if keep else None, since=until))


def bury(tx: Connection, key: str, taker: str) -> None:
    """An object is deleted; unless somebody else took it over, who deletes it once more."""
    gone = delete(doomed_object).where(*_taken(key, taker)).returning(doomed_object.c.key)
    if tx.execute(gone).first() is not None and not is_used(tx, key):
        artifacts.forget_made(tx, [key])


def is_used(tx: Connection, key: str) -> bool:
    """Whether anybody uses the object, also a slide that was named by its key."""
    used = select(object_use.c.key).where(object_use.c.key == key)
    named = select(slide_file.c.key).where(slide_file.c.key == key)
    return tx.execute(used.union_all(named).limit(1)).first() is not None


def sample(tx: Connection, limit: int) -> list[str]:
    """Some objects that lie in the store as far as the rows say: slides before others, doomed ones last."""
    made = select(object_use.c.key).where(object_use.c.owner_kind != UPLOAD)
    found: list[str] = []
    for query in (select(slide_file.c.key), made, select(doomed_object.c.key)):
        if len(found) < limit:
            found += tx.execute(query.limit(limit - len(found))).scalars()
    return found


def _begin(tx: Connection, key: str, taker: str) -> None:
    row = doomed_object.c
    tx.execute(update(doomed_object).where(row.key == key).values(taker=taker, beat=row.beat + 1))


def _taken(key: str, taker: str) -> tuple[ColumnElement[bool], ...]:
    return doomed_object.c.key == key, doomed_object.c.taker == taker


def _hold(tx: Connection, ordered: Sequence[str]) -> dict[str, str | None]:
    """Lock the doomed rows of these keys, laid where there are none; who is deleting each.

    Who dooms or takes one meanwhile, in a transaction that does not see this one, waits for its end.
    """
    wanted = [{"key": key, "since": now()} for key in ordered]
    row = doomed_object.c
    query = select(row.key, row.taker).where(row.key.in_(ordered)).order_by(row.key).with_for_update()
    held: dict[str, str | None] = {}
    # A row that was there may go before it is locked.
    while len(held) < len(ordered):
        tx.execute(_insert(tx, doomed_object).on_conflict_do_nothing(), wanted)
        held = {found.key: found.taker for found in tx.execute(query)}
    return held


def _of_stage(stage: str) -> ColumnElement[bool]:
    return object_use.c.key.like(f"%/{stage}/%")


def _release(tx: Connection, which: ColumnElement[bool]) -> None:
    # Whether others use it is seen when it is to be deleted.
    doomed = select(object_use.c.key, literal(now())).where(which).order_by(object_use.c.key)
    tx.execute(_insert(tx, doomed_object).from_select(["key", "since"], doomed).on_conflict_do_nothing())
    tx.execute(delete(object_use).where(which))


def _insert(tx: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    return postgresql.insert(table) if tx.dialect.name == "postgresql" else sqlite.insert(table)
