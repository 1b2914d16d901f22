"""Which conductor runs a job: one at a time, under a generation that grows whenever the job is taken up.

A conductor lets the beat of its jobs grow. If holder, generation and beat of a job do not change for a while, it is
lost and any conductor may take it up; the former one, frozen or cut off, can then write nothing about it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import ColumnElement, Connection, select, update

from morula.gateway.ledger import objects
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.events import announce
from morula.gateway.ledger.ids import now
from morula.gateway.ledger.records import Record, by_id
from morula.gateway.ledger.tables import job

P = ParamSpec("P")
T = TypeVar("T")

RUNNABLE = ("queued", "running")


@dataclass(frozen=True)
class Hold:
    """A job in the hands of a conductor, under one generation."""

    job_id: str
    conductor: str
    generation: int


class JobLost(Exception):
    """Another conductor has taken up the job."""


def take_up(tx: Connection, job_id: str, seen: int, conductor: str) -> Hold | None:
    """Take up a job that was seen under the generation `seen`; None if another conductor was faster."""
    change = update(job).where(job.c.id == job_id, job.c.generation == seen, job.c.state.in_(RUNNABLE))
    values = {"conductor": conductor, "generation": seen + 1, "beat": job.c.beat + 1}
    taken = tx.execute(change.values(**values)).rowcount
    return Hold(job_id, conductor, seen + 1) if taken else None


def carry_on(tx: Connection, hold: Hold) -> bool:
    """Continue a run whose conductor was killed, under this conductor's new id; False if the run is over."""
    change = update(job).where(
        job.c.id == hold.job_id,
        job.c.generation == hold.generation,
        job.c.state.in_(RUNNABLE),
        job.c.conductor.is_(None) | (job.c.conductor == hold.conductor),
    )
    return bool(tx.execute(change.values(conductor=hold.conductor, beat=job.c.beat + 1)).rowcount)


def beat(tx: Connection, holds: Sequence[Hold]) -> None:
    """Let the beat of these jobs grow: they are being run."""
    for hold in sorted(holds, key=lambda hold: hold.job_id):
        tx.execute(update(job).where(*_is_held(hold)).values(beat=job.c.beat + 1))


def let_go(tx: Connection, name: str) -> None:
    """Give up the jobs of all conductors whose id begins with `name`, so that others may take them up at once."""
    tx.execute(update(job).where(job.c.conductor.startswith(name, autoescape=True)).values(conductor=None))


def end_cancelled(tx: Connection, job_id: str, seen: int) -> Record | None:
    """End a job that is to be cancelled and that nobody runs; None if another conductor was faster."""
    change = update(job).where(job.c.id == job_id, job.c.generation == seen, job.c.state == "cancelling")
    values = {"state": "cancelled", "stage": None, "conductor": None, "generation": seen + 1, "finished_at": now()}
    if not tx.execute(change.values(**values)).rowcount:
        return None
    objects.release(tx, job_id, stage="pixels")
    announce(tx, "job", job_id)
    return by_id(tx, job, job_id)


def _is_held(hold: Hold) -> tuple[ColumnElement[bool], ...]:
    return job.c.id == hold.job_id, job.c.generation == hold.generation, job.c.conductor == hold.conductor


class HeldLedger:
    """The ledger for one run of a job: it waits as long as it takes, and writes only while the job is this run's.

    The job's row is locked first, other rows after it, and the counter of changes last. All code that writes about jobs
    keeps this order, so that no deadlock can occur.
    """

    def __init__(self, ledger: Ledger, hold: Hold) -> None:
        self.hold = hold
        self._ledger = ledger

    async def read(self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a query that reads."""
        return await self._ledger.patient.read(query, *args, **kwargs)

    async def write(self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a query that writes; JobLost if another conductor has the job now."""

        def held(tx: Connection) -> T:
            check(tx, self.hold)
            return query(tx, *args, **kwargs)

        return await self._ledger.patient.write(held)


def check(tx: Connection, hold: Hold) -> None:
    """Raise JobLost unless this run still has the job; no other can take it before the transaction ends."""
    query = select(job.c.id).where(*_is_held(hold))
    if tx.execute(query.with_for_update()).first() is None:
        raise JobLost(f"job {hold.job_id}, generation {hold.generation}")


def watched_state(tx: Connection, hold: Hold) -> str:
    """The job's state; JobLost if this run no longer has the job."""
    query = select(job.c.state, job.c.conductor, job.c.generation).where(job.c.id == hold.job_id)
    held = tx.execute(query).one_or_none()
    if held is None or (held.conductor, held.generation) != (hold.conductor, hold.generation):
        raise JobLost(f"job {hold.job_id}, generation {hold.generation}")
    return str(held.state)
