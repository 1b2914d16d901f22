"""Progress of a job: its stages, and every unit of work of each stage."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, case, func, insert, select, update

from morula.gateway.ledger.events import announce
from morula.gateway.ledger.ids import now
from morula.gateway.ledger.records import Record, every
from morula.gateway.ledger.tables import shard, stage


def list_stages(tx: Connection, job_ids: Sequence[str]) -> list[Record]:
    """Stages of these jobs, in order."""
    query = select(stage).where(stage.c.job_id.in_(job_ids)).order_by(stage.c.job_id, stage.c.position)
    return every(tx, query)


def list_shards(tx: Connection, job_id: str) -> list[Record]:
    """Every unit of work of a job."""
    query = select(shard).where(shard.c.job_id == job_id).order_by(shard.c.stage, shard.c.number)
    return every(tx, query)


def add_shards(tx: Connection, job_id: str, name: str, count: int) -> None:
    """Add a stage's first `count` units of work, as far as they are not there yet; others stay as they are."""
    known = tx.execute(
        select(func.count()).select_from(shard).where(shard.c.job_id == job_id, shard.c.stage == name)
    ).scalar_one()
    if known < count:
        zero = {"state": "queued", "attempt_count": 0, "busy_count": 0, "write_count": 0}
        tx.execute(insert(shard), [{"job_id": job_id, "stage": name, "number": n, **zero} for n in range(known, count)])
    tx.execute(_stage(job_id, name).values(total_count=max(known, count)))


def set_progress(tx: Connection, job_id: str, name: str, done_count: int, total_count: int) -> None:
    """Note the progress of a stage that reports it itself."""
    tx.execute(_stage(job_id, name).values(done_count=done_count, total_count=total_count))
    announce(tx, "job", job_id)


def start_shard(tx: Connection, job_id: str, name: str, number: int) -> None:
    """Note that a call begins, which counts as an attempt."""
    count = shard.c.attempt_count + 1
    tx.execute(_undone(job_id, name, number).values(state="running", attempt_count=count, started_at=now()))


def requeue_shard(tx: Connection, job_id: str, name: str, number: int) -> None:
    """Note that the service was busy or away: the unit waits for one, and the attempt does not count."""
    tx.execute(
        _undone(job_id, name, number).values(
            state="waiting", attempt_count=shard.c.attempt_count - 1, busy_count=shard.c.busy_count + 1
        )
    )
    announce(tx, "job", job_id)


def finish_shard(
    tx: Connection, job_id: str, name: str, number: int, result: Mapping[str, Any], *, written: bool
) -> None:
    """Note that a unit is done, made by a call or found in the store; noted twice, it counts once.

    What is found after an attempt counts as made by it: the attempt's answer was lost with its conductor.
    """
    done = _undone(job_id, name, number)
    unheard = case((and_(shard.c.attempt_count > 0, shard.c.write_count == 0), 1), else_=0)
    writes = shard.c.write_count + (1 if written else unheard)
    values = {"state": "done", "result": dict(result), "write_count": writes, "finished_at": now()}
    if tx.execute(done.values(**values)).rowcount == 0:
        return
    started_at: float = tx.execute(
        select(shard.c.started_at).where(shard.c.job_id == job_id, shard.c.stage == name, shard.c.number == number)
    ).scalar_one()
    counted = _stage(job_id, name).values(done_count=stage.c.done_count + 1)
    if written:
        since = case((stage.c.busy_until > started_at, stage.c.busy_until), else_=started_at)
        counted = counted.values(busy_s=stage.c.busy_s + now() - since, busy_until=now())
    tx.execute(counted)
    announce(tx, "job", job_id)


def fail_shard(tx: Connection, job_id: str, name: str, number: int) -> None:
    """Note that a unit failed."""
    tx.execute(_undone(job_id, name, number).values(state="failed", finished_at=now()))


def reopen_shard(tx: Connection, job_id: str, name: str, number: int) -> None:
    """Note that a unit is no longer done, because what it made is missing or damaged."""
    this = (shard.c.job_id == job_id, shard.c.stage == name, shard.c.number == number)
    change = update(shard).where(*this, shard.c.state == "done").values(state="queued", attempt_count=0)
    if tx.execute(change).rowcount:
        tx.execute(_stage(job_id, name).values(done_count=stage.c.done_count - 1))
        announce(tx, "job", job_id)


def is_done(tx: Connection, job_id: str, name: str, number: int) -> bool:
    """Whether a unit counts as done."""
    this = (shard.c.job_id == job_id, shard.c.stage == name, shard.c.number == number)
    return tx.execute(select(shard.c.number).where(*this, shard.c.state == "done")).first() is not None


def _stage(job_id: str, name: str) -> Any:
    return update(stage).where(stage.c.job_id == job_id, stage.c.stage == name)


def _undone(job_id: str, name: str, number: int) -> Any:
    """An update of the unit unless it is done; what is done stays so, though a restarted job may begin it again."""
    this = (shard.c.job_id == job_id, shard.c.stage == name, shard.c.number == number)
    return update(shard).where(*this, shard.c.state != "done")
