"""Which labellings a slide or a set of slides has, and how much was said in each."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, Select, and_, exists, func, select

from morula.gateway.ledger.rows import Row, every
from morula.gateway.ledger.tables import clustering, clustering_slide, job, label_event, labelling


def boards_of_slides(tx: Connection, slide_ids: Collection[str]) -> dict[str, list[Row]]:
    """Labellings of each of these slides, in the order in which they are offered.

    Of the slide alone before those of a cohort, where something was said before empty ones, the newest first.
    """
    said, sizes = _said().subquery(), _sizes().subquery()
    query = (
        select(
            clustering_slide.c.slide_id,
            labelling.c.id,
            labelling.c.clustering_id,
            clustering.c.job_id,
            clustering.c.cell_count,
            job.c.params["segmenter"].as_string().label("segmenter"),
            func.coalesce(said.c.page_count, 0).label("page_count"),
            func.coalesce(said.c.word_count, 0).label("word_count"),
            sizes.c.slide_count,
            labelling.c.moved["from_labelling_id"].as_string().label("moved_from"),
            labelling.c.created_at,
        )
        .join_from(labelling, clustering, clustering.c.id == labelling.c.clustering_id)
        .join(clustering_slide, clustering_slide.c.clustering_id == clustering.c.id)
        .join(job, job.c.id == clustering.c.job_id)
        .join(sizes, sizes.c.clustering_id == clustering.c.id)
        .outerjoin(said, said.c.labelling_id == labelling.c.id)
        .where(clustering_slide.c.slide_id.in_(slide_ids))
        .order_by(labelling.c.id.desc())
    )
    found: dict[str, list[Row]] = {slide_id: [] for slide_id in slide_ids}
    for row in every(tx, query):
        found[row["slide_id"]].append(row)
    for rows in found.values():
        rows.sort(key=lambda row: (row["slide_count"] > 1, not row["word_count"]))
    return found


def labelled_before(tx: Connection, clustering_id: str) -> list[str]:
    """Other labellings of the very slides of this clustering in which something was said, the last spoken to first."""
    slides = _slides(tx, clustering_id)
    said = _said().subquery()
    query = (
        select(labelling.c.id, labelling.c.clustering_id)
        .join(clustering_slide, clustering_slide.c.clustering_id == labelling.c.clustering_id)
        .join(said, said.c.labelling_id == labelling.c.id)
        .where(
            clustering_slide.c.slide_id == slides[0],
            clustering_slide.c.position == 0,
            labelling.c.clustering_id != clustering_id,
            said.c.word_count > 0,
        )
        .order_by(said.c.time.desc(), labelling.c.id.desc())
    )
    return [row["id"] for row in every(tx, query) if _slides(tx, row["clustering_id"]) == slides]


def _slides(tx: Connection, clustering_id: str) -> Sequence[str]:
    query = select(clustering_slide.c.slide_id).where(clustering_slide.c.clustering_id == clustering_id)
    return tx.execute(query.order_by(clustering_slide.c.position)).scalars().all()


def _said() -> Select[tuple[str, int, int, float]]:
    """Of each labelling, words that count: no undo, not undone, and no page that was put off."""
    undo = label_event.alias("undo")
    is_undone = exists().where(
        undo.c.labelling_id == label_event.c.labelling_id,
        undo.c.kind == "undone",
        undo.c.body["seq"].as_integer() == label_event.c.seq,
    )
    counts = and_(label_event.c.body["class_number"].as_integer().is_not(None), ~is_undone)
    return (
        select(
            label_event.c.labelling_id,
            func.count().filter(label_event.c.kind == "page_named").label("page_count"),
            func.count().label("word_count"),
            func.max(label_event.c.time).label("time"),
        )
        .where(label_event.c.kind != "undone", counts)
        .group_by(label_event.c.labelling_id)
    )


def _sizes() -> Select[tuple[str, int]]:
    return select(clustering_slide.c.clustering_id, func.count().label("slide_count")).group_by(
        clustering_slide.c.clustering_id
    )
