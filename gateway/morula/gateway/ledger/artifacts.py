"""The digest of each artifact when it was made, and of its inputs. What is in the store later is compared with them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, update

from morula.gateway.ledger.ids import now
from morula.gateway.ledger.records import Record, every, insert_if_absent
from morula.gateway.ledger.tables import artifact, job, object_use, repair

ASKED_AT_ONCE = 500
UNKNOWN = ""
"""Digest of an artifact that was lost before its digest was noted."""


@dataclass(frozen=True)
class Made:
    """An artifact when it was made."""

    key: str
    sha256: str
    size_bytes: int
    made_of: str
    """Digest of its inputs."""


def find_made(tx: Connection, keys: Sequence[str]) -> dict[str, Record]:
    """The records of these artifacts, by key."""
    made: dict[str, Record] = {}
    for start in range(0, len(keys), ASKED_AT_ONCE):
        query = select(artifact).where(artifact.c.key.in_(keys[start : start + ASKED_AT_ONCE]))
        made.update({row["key"]: row for row in every(tx, query)})
    return made


def made_by(tx: Connection, job_id: str) -> list[Record]:
    """The records of the artifacts that the newest run of a job made or found; earlier runs may have had others."""
    joined = artifact.join(object_use, object_use.c.key == artifact.c.key).join(job, object_use.c.owner_id == job.c.id)
    newest = (job.c.id == job_id) & (object_use.c.generation == job.c.generation)
    return every(tx, select(artifact).select_from(joined).where(newest, artifact.c.sha256 != UNKNOWN))


def note_made(tx: Connection, made: Iterable[Made]) -> None:
    """Note what was made. If another digest is noted under the key, the new one replaces it and counts as remade."""
    for new in made:
        values = {"sha256": new.sha256, "size_bytes": new.size_bytes, "made_of": new.made_of}
        if insert_if_absent(tx, artifact, {"key": new.key, **values, "remade": False, "created_at": now()}):
            continue
        change = update(artifact).where(artifact.c.key == new.key)
        tx.execute(change.where(artifact.c.sha256 != new.sha256).values(**values, remade=True))
        tx.execute(change.where(artifact.c.made_of != new.made_of).values(made_of=new.made_of))


def note_lost(tx: Connection, key: str) -> None:
    """Note that an artifact is about to be made again: its record stays, or UNKNOWN is noted if there is none."""
    values = {"sha256": UNKNOWN, "size_bytes": 0, "made_of": UNKNOWN, "remade": True, "created_at": now()}
    insert_if_absent(tx, artifact, {"key": key, **values})


def any_remade(tx: Connection, folders: Iterable[str]) -> bool:
    """Whether an artifact in one of these folders came out differently when it was made again."""
    return any(
        tx.execute(
            select(artifact.c.key).where(artifact.c.remade, artifact.c.key.startswith(folder, autoescape=True)).limit(1)
        ).first()
        for folder in folders
    )


def forget_made(tx: Connection, keys: Sequence[str]) -> None:
    """Delete the records of artifacts that are gone."""
    for start in range(0, len(keys), ASKED_AT_ONCE):
        tx.execute(delete(artifact).where(artifact.c.key.in_(keys[start : start + ASKED_AT_ONCE])))


def count_repair(tx: Connection, job_id: str, key: str) -> int:
    """Count that a job has an artifact made again; how often it has in this attempt."""
    insert_if_absent(tx, repair, {"job_id": job_id, "key": key, "count": 0})
    counted = update(repair).where(repair.c.job_id == job_id, repair.c.key == key).values(count=repair.c.count + 1)
    return int(tx.execute(counted.returning(repair.c.count)).scalar_one())


def forget_repairs(tx: Connection, job_id: str) -> None:
    """Forget the counts, at the start of an attempt."""
    tx.execute(delete(repair).where(repair.c.job_id == job_id))
