"""Evaluations: what jobs of this kind measure, and against what."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, insert, select

from morula.common.errors import NotFound
from morula.gateway.ledger import jobs, objects
from morula.gateway.ledger.records import Part, Record, Slice, every, first, part_of
from morula.gateway.ledger.tables import clustering, evaluation, job


def keep_evaluation(tx: Connection, job_id: str, values: Mapping[str, Any], upload_id: str | None) -> None:
    """Note what a new job measures; labels of an upload are kept for it from now on."""
    tx.execute(insert(evaluation).values(id=job_id, **values))
    if upload_id is not None:
        objects.hand_over(tx, upload_id, "job", job_id)


def get_evaluation(tx: Connection, evaluation_id: str) -> Record:
    """The evaluation with this id, and its job's row beside it."""
    row = first(tx, _all().where(evaluation.c.id == evaluation_id))
    if row is None:
        raise NotFound("There is no evaluation with this id.", evaluation_id=evaluation_id)
    return row


def list_evaluations(
    tx: Connection, project_id: str, wanted: Slice, clustering_id: str | None, truth_id: str | None
) -> Part:
    """Evaluations of a project, newest first."""
    query = _all().where(job.c.project_id == project_id)
    if clustering_id is not None:
        query = query.where(evaluation.c.clustering_id == clustering_id)
    if truth_id is not None:
        query = query.where(evaluation.c.truth_id == truth_id)
    return part_of(tx, query, evaluation.c.id, wanted, newest_first=True)


def measured_by(tx: Connection, evaluation_ids: Sequence[str]) -> dict[str, Record]:
    """Which clustering and labelling each of these measures."""
    columns = (evaluation.c.id, evaluation.c.clustering_id, evaluation.c.labelling_id)
    found = every(tx, select(*columns).where(evaluation.c.id.in_(evaluation_ids))) if evaluation_ids else []
    return {row["id"]: row for row in found}


def _all() -> Select[Any]:
    columns = (job.c.project_id, job.c.state, job.c.error, job.c.waiting_for, job.c.attempt, job.c.deleting_since)
    times = (job.c.created_at, job.c.started_at, job.c.finished_at)
    joined = evaluation.join(job, job.c.id == evaluation.c.id)
    return select(evaluation, *columns, *times).select_from(joined)


def source_job(tx: Connection, clustering_id: str) -> Record:
    """The job that a clustering is of; it cannot be deleted before the transaction ends."""
    query = select(clustering.c.job_id).where(clustering.c.id == clustering_id)
    job_id = tx.execute(query).scalar_one_or_none()
    if job_id is None:
        raise NotFound("There is no clustering with this id.", clustering_id=clustering_id)
    return jobs.hold_sources(tx, [job_id])[0]
