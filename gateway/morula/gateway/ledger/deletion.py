"""Deletes slides, jobs, labellings, samples and truths: rows at once, and objects, which that transaction dooms, later.

A job that still runs is stopped first: its row gets `deleting_since`, and is deleted once the job has ended.
Deletions are announced last, because every transaction locks the counter of changes last.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, Exists, Select, Table, delete, select, update

from morula.common.errors import InUse
from morula.gateway.ledger import objects
from morula.gateway.ledger.events import announce
from morula.gateway.ledger.ids import now
from morula.gateway.ledger.jobs import CHANGES, UNFINISHED
from morula.gateway.ledger.records import Record, by_id, every
from morula.gateway.ledger.tables import (
    clustering,
    clustering_slide,
    cut,
    evaluation,
    job,
    job_file,
    label_event,
    label_layer,
    labelling,
    repair,
    sample,
    sample_event,
    sample_slide,
    sample_tile,
    shard,
    slide,
    slide_file,
    stage,
    suggestion,
    truth,
)

Gone = tuple[str, str]
"""Kind and id of what was deleted, or is to be."""


def delete_slide(tx: Connection, slide_id: str) -> bool:
    """Delete a slide with its jobs; False where one of them has to end first."""
    by_id(tx, slide, slide_id, lock=True)
    # Locked first, because a job may end meanwhile, or a cohort may be made of it.
    locked = select(job.c.id, job.c.state).where(job.c.slide_id == slide_id).order_by(job.c.id).with_for_update()
    mine = every(tx, locked)
    mine = [*_changes_of(tx, [row["id"] for row in mine]), *mine]
    _check_unused(tx, [row["id"] for row in mine])
    changed = [change for row in mine for change in _delete_job(tx, row)]
    at_work = any(row["state"] in UNFINISHED for row in mine)
    if at_work:
        tx.execute(update(slide).where(slide.c.id == slide_id).values(deleting_since=now()))
    else:
        _remove_slide(tx, slide_id)
    _announce(tx, [*changed, ("slide", slide_id)])
    return not at_work


def delete_job(tx: Connection, job_id: str) -> bool:
    """Delete a job with its clustering, changes of it, labellings and files; False where one has to end first."""
    row = by_id(tx, job, job_id, lock=True)
    mine = [*_changes_of(tx, [job_id]), row]
    _check_unused(tx, [row["id"] for row in mine])
    _announce(tx, [change for row in mine for change in _delete_job(tx, row)])
    return all(row["state"] not in UNFINISHED for row in mine)


def delete_labelling(tx: Connection, labelling_id: str) -> None:
    """Delete a labelling with all that was said in it."""
    row = by_id(tx, labelling, labelling_id, lock=True)
    _remove_labelling(tx, labelling_id)
    others = select(labelling.c.id).where(labelling.c.clustering_id == row["clustering_id"]).order_by(labelling.c.id)
    oldest = tx.execute(others.limit(1)).scalar_one_or_none()
    tx.execute(update(job).where(job.c.labelling_id == labelling_id).values(labelling_id=oldest))
    _announce(tx, [("labelling", labelling_id)])


def delete_sample(tx: Connection, sample_id: str) -> None:
    """Delete a sample with all that was said in it."""
    by_id(tx, sample, sample_id, lock=True)
    for table in (sample_event, sample_tile, sample_slide):
        tx.execute(delete(table).where(table.c.sample_id == sample_id))
    tx.execute(delete(sample).where(sample.c.id == sample_id))
    _announce(tx, [("sample", sample_id)])


def delete_truth(tx: Connection, truth_id: str) -> None:
    """Delete a truth that no evaluation is measured against."""
    by_id(tx, truth, truth_id, lock=True)
    using = _ids(tx, evaluation, "truth_id", truth_id)
    if using:
        raise InUse(f"{len(using)} evaluations are against it: delete them first.", job_ids=",".join(using))
    tx.execute(delete(truth).where(truth.c.id == truth_id))
    objects.release(tx, truth_id)
    _announce(tx, [("truth", truth_id)])


def finish_deletions(tx: Connection) -> int:
    """Delete what waited for its jobs to end, if they have; the number of rows."""
    ended: list[str] = list(tx.execute(_ended_jobs().with_for_update(skip_locked=True)).scalars())
    changed = [change for job_id in ended for change in _remove_job(tx, job_id)]
    empty: list[str] = list(tx.execute(_empty_slides().with_for_update(skip_locked=True)).scalars())
    for slide_id in empty:
        _remove_slide(tx, slide_id)
    _announce(tx, [*changed, *(("slide", slide_id) for slide_id in empty)])
    return len(ended) + len(empty)


def is_due(tx: Connection) -> bool:
    """Whether something can be deleted now that waited for its jobs to end."""
    return any(tx.execute(query.limit(1)).first() is not None for query in (_ended_jobs(), _empty_slides()))


def _ended_jobs() -> Select[str]:
    return select(job.c.id).where(job.c.deleting_since.is_not(None), job.c.state.not_in(UNFINISHED), ~_needed())


def _needed() -> Exists:
    """Whether clusterings of other jobs are of this one's cells."""
    joined = clustering_slide.join(clustering, clustering.c.id == clustering_slide.c.clustering_id)
    of_others = clustering_slide.c.job_id == job.c.id, clustering.c.job_id != job.c.id
    return select(clustering.c.id).select_from(joined).where(*of_others).correlate(job).exists()


def _empty_slides() -> Select[str]:
    left = select(job.c.id).where(job.c.slide_id == slide.c.id).exists()
    seen = select(clustering_slide.c.slide_id).where(clustering_slide.c.slide_id == slide.c.id).exists()
    return select(slide.c.id).where(slide.c.deleting_since.is_not(None), ~left, ~seen)


def _changes_of(tx: Connection, job_ids: Sequence[str]) -> list[Record]:
    """Jobs that changed clusters of these, locked: they are the same cells seen otherwise, and go with them."""
    changes = select(job.c.id, job.c.state, job.c.source_job_ids).where(job.c.kind.in_(CHANGES)).order_by(job.c.id)
    of_these = [row["id"] for row in every(tx, changes) if set(row["source_job_ids"]) & set(job_ids)]
    return every(tx, select(job.c.id, job.c.state).where(job.c.id.in_(of_these)).order_by(job.c.id).with_for_update())


def _check_unused(tx: Connection, job_ids: Sequence[str]) -> None:
    # An evaluation that has ended goes with what it measured; one that is under way still reads it.
    reads = job.c.kind.in_(("cohort", "addition")) | ((job.c.kind == "evaluation") & job.c.state.in_(UNFINISHED))
    others = every(tx, select(job.c.id, job.c.kind, job.c.name, job.c.source_job_ids).where(reads))
    using = [row for row in others if row["id"] not in job_ids and set(row["source_job_ids"]) & set(job_ids)]
    if using:
        names = ", ".join(f"{row['kind']} {row['name']} ({row['id']})" for row in using)
        raise InUse(f"It is used by: {names}. Delete that first.", job_ids=",".join(row["id"] for row in using))
    joined = sample_slide.join(sample, sample.c.id == sample_slide.c.sample_id)
    sampled = select(sample.c.id, sample.c.name).select_from(joined).where(sample_slide.c.job_id.in_(job_ids))
    samples = every(tx, sampled.distinct().order_by(sample.c.id))
    if samples:
        names = ", ".join(f"sample {row['name']} ({row['id']})" for row in samples)
        raise InUse(
            f"People label its cells in: {names}. Delete that first.", sample_ids=",".join(row["id"] for row in samples)
        )


def _delete_job(tx: Connection, row: Record) -> list[Gone]:
    change = update(job).where(job.c.id == row["id"])
    if row["state"] in UNFINISHED:
        tx.execute(change.values(state="cancelling", deleting_since=now()))
    elif tx.execute(select(job.c.id).where(job.c.id == row["id"], _needed())).first() is not None:
        tx.execute(change.values(deleting_since=now()))
    else:
        return _remove_job(tx, row["id"])
    return [("job", row["id"])]


def _remove_slide(tx: Connection, slide_id: str) -> None:
    tx.execute(delete(slide_file).where(slide_file.c.slide_id == slide_id))
    tx.execute(delete(slide).where(slide.c.id == slide_id))
    objects.release(tx, slide_id)


def _remove_job(tx: Connection, job_id: str) -> list[Gone]:
    gone: list[Gone] = [("job", job_id)]
    for clustering_id in _ids(tx, clustering, "job_id", job_id):
        for labelling_id in _ids(tx, labelling, "clustering_id", clustering_id):
            _remove_labelling(tx, labelling_id)
            gone.append(("labelling", labelling_id))
        for evaluation_id in _ids(tx, evaluation, "clustering_id", clustering_id):
            gone += _remove_job(tx, evaluation_id)
        for table in (cut, clustering_slide):
            tx.execute(delete(table).where(table.c.clustering_id == clustering_id))
        tx.execute(delete(clustering).where(clustering.c.id == clustering_id))
    tx.execute(delete(evaluation).where(evaluation.c.id == job_id))
    for table in (job_file, repair, shard, stage):
        tx.execute(delete(table).where(table.c.job_id == job_id))
    tx.execute(delete(job).where(job.c.id == job_id))
    objects.release(tx, job_id)
    return gone


def _remove_labelling(tx: Connection, labelling_id: str) -> None:
    for table in (label_event, label_layer, suggestion):
        tx.execute(delete(table).where(table.c.labelling_id == labelling_id))
    tx.execute(delete(labelling).where(labelling.c.id == labelling_id))
    objects.release(tx, labelling_id)


def _announce(tx: Connection, changed: Iterable[Gone]) -> None:
    for kind, subject_id in changed:
        announce(tx, kind, subject_id)


def _ids(tx: Connection, table: Table, column: str, value: str) -> list[str]:
    return list(tx.execute(select(table.c.id).where(table.c[column] == value).order_by(table.c.id)).scalars())
