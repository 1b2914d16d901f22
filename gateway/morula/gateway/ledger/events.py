"""The log of changes that listeners follow: which subject changed, in an order without gaps."""

from sqlalchemy import Connection, delete, func, insert, select, update

from morula.gateway.ledger.ids import now
from morula.gateway.ledger.tables import counter, event

Change = tuple[int, str, str]

PRUNED_AT_ONCE = 5000
"""Events deleted in one transaction, which others may have to wait for."""


def announce(tx: Connection, kind: str, subject_id: str) -> None:
    """Say that a subject changed.

    The number comes from a row that stays locked until the transaction ends, so numbers become visible in order and a
    listener that has seen n never misses one below it.
    """
    number: int = tx.execute(
        update(counter).where(counter.c.name == "event").values(value=counter.c.value + 1).returning(counter.c.value)
    ).scalar_one()
    tx.execute(insert(event).values(seq=number, kind=kind, subject_id=subject_id, time=now()))


def changes_after(
    tx: Connection, seq: int, kind: str | None = None, subject_id: str | None = None, limit: int = 500
) -> list[Change]:
    """Changes with a number above `seq`, oldest first."""
    query = select(event.c.seq, event.c.kind, event.c.subject_id).where(event.c.seq > seq)
    if kind is not None:
        query = query.where(event.c.kind == kind)
    if subject_id is not None:
        query = query.where(event.c.subject_id == subject_id)
    return [(row.seq, row.kind, row.subject_id) for row in tx.execute(query.order_by(event.c.seq).limit(limit))]


def last_change(tx: Connection, subject_id: str | None = None) -> int:
    """Number of the newest change, of this subject or of all; 0 before the first."""
    query = select(func.coalesce(func.max(event.c.seq), 0))
    if subject_id is not None:
        query = query.where(event.c.subject_id == subject_id)
    return tx.execute(query).scalar_one()


def can_resume(tx: Connection, seq: int) -> bool:
    """Whether every change after `seq` is still here: False if some were pruned, or if `seq` is of no change."""
    oldest, newest = _bounds(tx)
    return seq == 0 if not newest else oldest - 1 <= seq <= newest


def prune(tx: Connection, older_than: float, keep_count: int) -> int:
    """Delete some events that are older than this time, but none of the newest `keep_count`; how many."""
    oldest, newest = _bounds(tx)
    if not newest:
        return 0
    last = min(oldest + PRUNED_AT_ONCE - 1, newest - keep_count)
    return tx.execute(delete(event).where(event.c.seq <= last, event.c.time < older_than)).rowcount


def _bounds(tx: Connection) -> tuple[int, int]:
    # Two subqueries, because SQLite reads the whole table for both in one query.
    oldest, newest = (select(which(event.c.seq)).scalar_subquery() for which in (func.min, func.max))
    bounds = tx.execute(select(func.coalesce(oldest, 0), func.coalesce(newest, 0))).one()
    return int(bounds[0]), int(bounds[1])
