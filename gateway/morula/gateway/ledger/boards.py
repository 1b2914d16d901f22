"""Which labellings a slide or a set of slides has, and how many label events count in each."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, Select, and_, func, select

from morula.gateway.ledger.records import Record, every
from morula.gateway.ledger.tables import clustering, clustering_slide, job, label_event, labelling


def boards_of_slides(tx: Connection, slide_ids: Collection[str]) -> dict[str, list[Record]]:
    """Labellings of each of these slides, in the order in which they are offered.

    Of the slide alone before those of a cohort, where something was said before empty ones, the newest first.
    """
    clusterings = select(clustering_slide.c.clustering_id).where(clustering_slide.c.slide_id.in_(slide_ids))
    words, sizes = _words(clusterings).subquery(), _sizes(clusterings).subquery()
    query = (
        select(
            clustering_slide.c.slide_id,
            labelling.c.id,
            labelling.c.clustering_id,
            clustering.c.job_id,
            clustering.c.cell_count,
            job.c.params["segmenter"].as_string().label("segmenter"),
            func.coalesce(words.c.page_count, 0).label("page_count"),
            func.coalesce(words.c.word_count, 0).label("word_count"),
            sizes.c.slide_count,
            labelling.c.moved["from_labelling_id"].as_string().label("moved_from"),
            labelling.c.created_at,
        )
        .join_from(labelling, clustering, clustering.c.id == labelling.c.clustering_id)
        .join(clustering_slide, clustering_slide.c.clustering_id == clustering.c.id)
        .join(job, job.c.id == clustering.c.job_id)
        .join(sizes, sizes.c.clustering_id == clustering.c.id)
        .outerjoin(words, words.c.labelling_id == labelling.c.id)
        .where(clustering_slide.c.slide_id.in_(slide_ids))
        .order_by(labelling.c.id.desc())
    )
    boards: dict[str, list[Record]] = {slide_id: [] for slide_id in slide_ids}
    for row in every(tx, query):
        boards[row["slide_id"]].append(row)
    for rows in boards.values():
        rows.sort(key=lambda row: (row["slide_count"] > 1, not row["word_count"]))
    return boards


def labelled_before(tx: Connection, clustering_id: str) -> list[str]:
    """Other labellings with events of exactly the slides of this clustering, the one with the newest event first."""
    slides = _slides(tx, clustering_id)
    first_of = clustering_slide.c.slide_id == slides[0], clustering_slide.c.position == 0
    words = _words(select(clustering_slide.c.clustering_id).where(*first_of)).subquery()
    query = (
        select(labelling.c.id, labelling.c.clustering_id)
        .join(clustering_slide, clustering_slide.c.clustering_id == labelling.c.clustering_id)
        .join(words, words.c.labelling_id == labelling.c.id)
        .where(*first_of, labelling.c.clustering_id != clustering_id, words.c.word_count > 0)
        .order_by(words.c.time.desc(), labelling.c.id.desc())
    )
    return [row["id"] for row in every(tx, query) if _slides(tx, row["clustering_id"]) == slides]


def _slides(tx: Connection, clustering_id: str) -> Sequence[str]:
    query = select(clustering_slide.c.slide_id).where(clustering_slide.c.clustering_id == clustering_id)
    return tx.execute(query.order_by(clustering_slide.c.position)).scalars().all()


def _words(clusterings: Select[tuple[str]]) -> Select[tuple[str, int, int, float]]:
    """For each labelling, the number of events that count: no undo, not undone, and no page that was put off."""
    of_these = label_event.c.labelling_id.in_(select(labelling.c.id).where(labelling.c.clustering_id.in_(clusterings)))
    # Collected once and joined: a subquery for each event would take quadratic time.
    taken_back = select(label_event.c.labelling_id, label_event.c.body["seq"].as_integer().label("seq")).distinct()
    undone = taken_back.where(of_these, label_event.c.kind == "undone").subquery()
    is_undone = and_(undone.c.labelling_id == label_event.c.labelling_id, undone.c.seq == label_event.c.seq)
    first_cell = label_event.c.body[("cells", 0, "row")].as_integer()  # Names a page, however often it is named.
    return (
        select(
            label_event.c.labelling_id,
            func.count(first_cell.distinct()).filter(label_event.c.kind == "page_named").label("page_count"),
            func.count().label("word_count"),
            func.max(label_event.c.time).label("time"),
        )
        .outerjoin_from(label_event, undone, is_undone)
        .where(
            of_these,
            label_event.c.kind != "undone",
            label_event.c.body["class_number"].as_integer().is_not(None),
            undone.c.seq.is_(None),
        )
        .group_by(label_event.c.labelling_id)
    )


def _sizes(clusterings: Select[tuple[str]]) -> Select[tuple[str, int]]:
    query = select(clustering_slide.c.clustering_id, func.count().label("slide_count"))
    return query.where(clustering_slide.c.clustering_id.in_(clusterings)).group_by(clustering_slide.c.clustering_id)
