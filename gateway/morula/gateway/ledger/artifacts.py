"""What was made: the digest of each artifact as its maker wrote it, and of what it was made. What is found is compared
with this, however it came there."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, update

from morula.gateway.ledger.ids import now
from morula.gateway.ledger.records import Record, every, insert_if_absent
from morula.gateway.ledger.tables import artifact, job, object_use, repair

ASKED_AT_ONCE = 500
UNKNOWN = ""
"""Digest of what was lost before anybody wrote it down."""


@dataclass(frozen=True)
class Made:
    """An artifact as it was made."""

    key: str
    sha256: str
    size_bytes: int
    made_of: str
    """Digest of the bytes that it was made of."""


def find_made(tx: Connection, keys: Sequence[str]) -> dict[str, Record]:
    """What is known of these artifacts, by key."""
    made: dict[str, Record] = {}
    for start in range(0, len(keys), ASKED_AT_ONCE):
        query = select(artifact).where(artifact.c.key.in_(keys[start : start + ASKED_AT_ONCE]))
        made.update({row["key"]: row for row in every(tx, query)})
    return made


def made_by(tx: Connection, job_id: str) -> list[Record]:
    """What is known of the artifacts that a job's newest run made or found: those of runs before may be others."""
    joined = artifact.join(object_use, object_use.c.key == artifact.c.key).join(job, object_use.c.owner_id == job.c.id)
    newest = (job.c.id == job_id) & (object_use.c.generation == job.c.generation)
    return every(tx, select(artifact).select_from(joined).where(newest, artifact.c.sha256 != UNKNOWN))


def note_made(tx: Connection, made: Iterable[Made]) -> None:
    """Write down what was made. Where other bytes are known under the key, these took their place."""
    for one in made:
        values = {"sha256": one.sha256, "size_bytes": one.size_bytes, "made_of": one.made_of}
        if insert_if_absent(tx, artifact, {"key": one.key, **values, "remade": False, "created_at": now()}):
            continue
        here = update(artifact).where(artifact.c.key == one.key)
        tx.execute(here.where(artifact.c.sha256 != one.sha256).values(**values, remade=True))
        tx.execute(here.where(artifact.c.made_of != one.made_of).values(made_of=one.made_of))


def note_lost(tx: Connection, key: str) -> None:
    """An artifact is about to be made again; what it was remains written down, and if nobody knows, that."""
    values = {"sha256": UNKNOWN, "size_bytes": 0, "made_of": UNKNOWN, "remade": True, "created_at": now()}
    insert_if_absent(tx, artifact, {"key": key, **values})


def any_remade(tx: Connection, folders: Iterable[str]) -> bool:
    """Whether in one of these folders something was made again that came out otherwise."""
    return any(
        tx.execute(
            select(artifact.c.key).where(artifact.c.remade, artifact.c.key.startswith(folder, autoescape=True)).limit(1)
        ).first()
        for folder in folders
    )


def forget_made(tx: Connection, keys: Sequence[str]) -> None:
    """These artifacts are no more."""
    for start in range(0, len(keys), ASKED_AT_ONCE):
        tx.execute(delete(artifact).where(artifact.c.key.in_(keys[start : start + ASKED_AT_ONCE])))


def count_repair(tx: Connection, job_id: str, key: str) -> int:
    """Count that a job has an artifact made again; how often it did in this attempt."""
    insert_if_absent(tx, repair, {"job_id": job_id, "key": key, "count": 0})
    counted = update(repair).where(repair.c.job_id == job_id, repair.c.key == key).values(count=repair.c.count + 1)
    return int(tx.execute(counted.returning(repair.c.count)).scalar_one())


def forget_repairs(tx: Connection, job_id: str) -> None:
    """Count from the beginning, as in a new attempt."""
    tx.execute(delete(repair).where(repair.c.job_id == job_id))
