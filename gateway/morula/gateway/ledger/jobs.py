"""Jobs and their states.

queued -> running -> succeeded | failed
  |          |
  +----------+-> cancelling -> cancelled          failed | cancelled -> queued (retry, one attempt more)
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from morula.common.errors import Conflict, NotFound
from morula.gateway.ledger import objects
from morula.gateway.ledger.artifacts import forget_repairs
from morula.gateway.ledger.events import announce
from morula.gateway.ledger.ids import new_id, now
from morula.gateway.ledger.records import Part, Record, Slice, by_id, every, first, insert_if_absent, part_of
from morula.gateway.ledger.tables import job, job_file, shard, stage

UNFINISHED = ("queued", "running", "cancelling")
ENDED_BADLY = ("failed", "cancelled")
CHANGES = ("split", "regrouping")
"""Kinds of jobs that change the clusters of another's cells."""
COMES_TO_NOTHING = (*ENDED_BADLY, "cancelling")


def create_job(tx: Connection, values: Mapping[str, Any], stages: Sequence[str]) -> tuple[Record, bool]:
    """Add a job, or find the one with the same parameters that is queued, running or succeeded; True if it is new."""
    same = select(job).where(job.c.params_digest == values["params_digest"], job.c.state.not_in(COMES_TO_NOTHING))
    job_id = new_id()
    zero = {"kept_tile_count": 0, "failed_tile_count": 0}
    asked_at = now()
    fixed = {"state": "queued", "attempt": 1, "created_at": asked_at, "queued_at": asked_at, **zero}
    # Inserted before the search, so that of several equal requests at once one adds the job and the others find it.
    while not insert_if_absent(tx, job, {"id": job_id, **fixed, **values}):
        known = first(tx, same)
        if known is not None:
            return known, False
    _lay_stages(tx, job_id, stages)
    announce(tx, "job", job_id)
    return get_job(tx, job_id), True


def _lay_stages(tx: Connection, job_id: str, stages: Sequence[str]) -> None:
    rows = [
        {"job_id": job_id, "stage": name, "position": position, "done_count": 0, "busy_s": 0.0, "busy_until": 0.0}
        for position, name in enumerate(stages)
    ]
    tx.execute(insert(stage), rows)


def get_job(tx: Connection, job_id: str, *, lock: bool = False) -> Record:
    """The job with this id; locked until the transaction ends, where asked for."""
    return by_id(tx, job, job_id, lock=lock)


def list_jobs(tx: Connection, project_id: str, wanted: Slice, slide_id: str | None = None) -> Part:
    """Jobs of a project, newest first."""
    query = select(job).where(job.c.project_id == project_id)
    if slide_id is not None:
        query = query.where(job.c.slide_id == slide_id)
    return part_of(tx, query, job.c.id, wanted, newest_first=True)


def hold_sources(tx: Connection, job_ids: Sequence[str]) -> list[Record]:
    """The jobs that a new one goes on from; none of them can be deleted before the transaction ends."""
    rows = [by_id(tx, job, job_id, lock=True) for job_id in sorted(job_ids)]
    if any(row["deleting_since"] is not None for row in rows):
        raise Conflict("One of the jobs is being deleted.")
    row_of = {row["id"]: row for row in rows}
    return [row_of[job_id] for job_id in job_ids]


def unfinished_jobs(tx: Connection) -> list[Record]:
    """Jobs that have not ended, oldest first, with the conductors that have them."""
    columns = (job.c.id, job.c.attempt, job.c.state, job.c.conductor, job.c.generation, job.c.beat)
    return every(tx, select(*columns).where(job.c.state.in_(UNFINISHED)).order_by(job.c.id))


def queue_age_s(tx: Connection) -> float:
    """For how long the job that has waited longest has been queued; 0 where none is."""
    oldest: float | None = tx.execute(select(func.min(job.c.queued_at)).where(job.c.state == "queued")).scalar_one()
    return 0.0 if oldest is None else max(0.0, now() - oldest)


def job_state(tx: Connection, job_id: str) -> str:
    """The job's state alone."""
    return str(tx.execute(select(job.c.state).where(job.c.id == job_id)).scalar_one())


def start_job(tx: Connection, job_id: str) -> Record | None:
    """The job, marked as running; None where it must not run, because it ended or is to be cancelled."""
    change = update(job).where(job.c.id == job_id, job.c.state.in_(("queued", "running")))
    if tx.execute(change.values(state="running", error=None, waiting_for=None)).rowcount == 0:
        return None
    tx.execute(update(job).where(job.c.id == job_id, job.c.started_at.is_(None)).values(started_at=now()))
    announce(tx, "job", job_id)
    return get_job(tx, job_id)


def note_job(tx: Connection, job_id: str, /, **values: object) -> None:
    """Note something about a running job."""
    tx.execute(update(job).where(job.c.id == job_id).values(**values))
    announce(tx, "job", job_id)


def finish_job(tx: Connection, job_id: str, state: str, /, **values: object) -> Record | None:
    """End a job, in the state "cancelled" if it was to be cancelled; None if it had ended already."""
    before = by_id(tx, job, job_id, lock=True)["state"]
    if before not in UNFINISHED:
        return None
    # A cancelled job stays cancelled whatever its run came to: another job may have taken its place.
    ended: dict[str, object] = {"state": "cancelled"} if before == "cancelling" else {"state": state, **values}
    fixed = {"stage": None, "waiting_for": None, "finished_at": now()}
    tx.execute(update(job).where(job.c.id == job_id).values(**fixed, **ended))
    # Pixels serve only the running job; a job that succeeded has deleted its own already.
    objects.release(tx, job_id, stage="pixels")
    announce(tx, "job", job_id)
    return get_job(tx, job_id)


def note_crash(tx: Connection, job_id: str) -> int:
    """Count an unforeseen end of a run; how many there were in this attempt."""
    change = update(job).where(job.c.id == job_id).values(crash_count=job.c.crash_count + 1)
    return int(tx.execute(change.returning(job.c.crash_count)).scalar_one())


def ask_to_cancel(tx: Connection, job_id: str) -> Record:
    """Ask for a job to be cancelled; its conductor sees the state and stops at once, even during a call."""
    row = get_job(tx, job_id)
    if row["state"] not in UNFINISHED:
        raise Conflict(f"The job has ended already: it is {row['state']}.", job_id=job_id)
    tx.execute(update(job).where(job.c.id == job_id, job.c.state.in_(UNFINISHED)).values(state="cancelling"))
    announce(tx, "job", job_id)
    return get_job(tx, job_id)


def retry_job(tx: Connection, job_id: str, states: Sequence[str] = ENDED_BADLY) -> Record:
    """Queue a job again that ended in one of these states; it continues from what it made."""
    # What it goes on from stays, as for a new one: a job is taken away with its source.
    hold_sources(tx, get_job(tx, job_id)["source_job_ids"] or [])
    row = by_id(tx, job, job_id, lock=True)
    if row["deleting_since"] is not None:
        raise Conflict("The job is being deleted.", job_id=job_id)
    values = {
        "state": "queued",
        "attempt": row["attempt"] + 1,
        "conductor": None,
        "generation": row["generation"] + 1,
        "crash_count": 0,
        "error": None,
        "verdict": None,
        "result_digest": None,
        "queued_at": now(),
        "finished_at": None,
    }
    change = update(job).where(job.c.id == job_id, job.c.state.in_(states))
    try:
        with tx.begin_nested():
            retried = tx.execute(change.values(**values)).rowcount
    except IntegrityError as error:
        raise Conflict(
            "Another job with the same parameters has taken its place: use that one.", job_id=job_id
        ) from error
    if not retried:
        raise Conflict(f"Only a job that failed or was cancelled can be retried; it is {row['state']}.", job_id=job_id)
    forget_repairs(tx, job_id)
    tx.execute(
        update(shard).where(shard.c.job_id == job_id, shard.c.state != "done").values(state="queued", attempt_count=0)
    )
    _cut_again(tx, job_id)
    announce(tx, "job", job_id)
    return get_job(tx, job_id)


def _cut_again(tx: Connection, job_id: str) -> None:
    """Queue shards again that were cut and not embedded: their pixels were deleted when the attempt ended."""
    embedded = select(shard.c.number).where(shard.c.job_id == job_id, shard.c.stage == "embed", shard.c.state == "done")
    lost = update(shard).where(shard.c.job_id == job_id, shard.c.stage == "cut", shard.c.state == "done")
    count = tx.execute(lost.where(shard.c.number.not_in(embedded)).values(state="queued", attempt_count=0)).rowcount
    progress = update(stage).where(stage.c.job_id == job_id, stage.c.stage == "cut")
    tx.execute(progress.values(done_count=stage.c.done_count - count))


def set_files(tx: Connection, job_id: str, files: Sequence[Mapping[str, Any]]) -> None:
    """Note which files a job left, in place of those of an earlier attempt."""
    tx.execute(delete(job_file).where(job_file.c.job_id == job_id))
    if files:
        tx.execute(insert(job_file), [{"job_id": job_id, **file} for file in files])


def job_files(tx: Connection, job_id: str) -> list[Record]:
    """Files that a job left, by name."""
    get_job(tx, job_id)
    query = select(job_file).where(job_file.c.job_id == job_id).order_by(job_file.c.name)
    return every(tx, query)


def get_file(tx: Connection, job_id: str, name: str) -> Record:
    """One file that a job left."""
    row = next((file for file in job_files(tx, job_id) if file["name"] == name), None)
    if row is None:
        raise NotFound("The job has no file of this name.", job_id=job_id, name=name)
    return row
