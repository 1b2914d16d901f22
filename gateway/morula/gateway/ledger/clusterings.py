"""Clusterings, the slides that they cover, and their cuts."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, update

from morula.gateway.ledger.ids import new_id, now
from morula.gateway.ledger.records import Part, Record, Slice, by_id, every, insert_if_absent, part_of
from morula.gateway.ledger.tables import clustering, clustering_slide, cut, slide


def create_clustering(tx: Connection, values: Mapping[str, Any], slides: Sequence[Mapping[str, Any]]) -> str:
    """Add the clustering of a job over these slides, in the order of their rows, unless the job has one; its id."""
    known = tx.execute(select(clustering.c.id).where(clustering.c.job_id == values["job_id"])).scalar_one_or_none()
    if known is not None:
        return str(known)
    clustering_id = new_id()
    tx.execute(insert(clustering).values(id=clustering_id, created_at=now(), **values))
    rows = [{"clustering_id": clustering_id, "position": n, **row} for n, row in enumerate(slides)]
    tx.execute(insert(clustering_slide), rows)
    return clustering_id


def renew_clustering(
    tx: Connection, clustering_id: str, values: Mapping[str, Any], slides: Sequence[Mapping[str, Any]]
) -> None:
    """Note new artifacts of a clustering, and count that, so that those who have it open load it again."""
    change = update(clustering).where(clustering.c.id == clustering_id)
    tx.execute(change.values(**values, renewed_count=clustering.c.renewed_count + 1))
    of_it = clustering_slide.c.clustering_id == clustering_id
    for position, row in enumerate(slides):
        tx.execute(update(clustering_slide).where(of_it, clustering_slide.c.position == position).values(**row))


def get_clustering(tx: Connection, clustering_id: str) -> Record:
    """The clustering with this id."""
    return by_id(tx, clustering, clustering_id)


def list_clusterings(tx: Connection, project_id: str, wanted: Slice) -> Part:
    """Clusterings of a project, newest first."""
    query = select(clustering).where(clustering.c.project_id == project_id)
    return part_of(tx, query, clustering.c.id, wanted, newest_first=True)


def clustering_slides(tx: Connection, *clustering_ids: str) -> list[Record]:
    """Slides of these clusterings with their names, in the order of their rows."""
    joined = clustering_slide.join(slide, slide.c.id == clustering_slide.c.slide_id)
    query = (
        select(clustering_slide, slide.c.name, slide.c.digest, slide.c.width_px, slide.c.height_px)
        .select_from(joined)
        .where(clustering_slide.c.clustering_id.in_(clustering_ids))
        .order_by(clustering_slide.c.clustering_id, clustering_slide.c.position)
    )
    return every(tx, query)


def find_cut(tx: Connection, clustering_id: str, cluster_count: int) -> dict[str, Any] | None:
    """The cut, if it was made before."""
    query = select(cut.c.body).where(cut.c.clustering_id == clustering_id, cut.c.cluster_count == cluster_count)
    return tx.execute(query).scalar_one_or_none()


def keep_cut(tx: Connection, clustering_id: str, cluster_count: int, body: Mapping[str, Any]) -> None:
    """Keep a cut; if it was kept before, that one stays."""
    values = {"clustering_id": clustering_id, "cluster_count": cluster_count, "body": dict(body)}
    insert_if_absent(tx, cut, values)
