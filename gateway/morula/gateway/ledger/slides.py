"""Slides and the files that they consist of."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, update

from morula.common.errors import Conflict
from morula.gateway.ledger import objects
from morula.gateway.ledger.events import announce
from morula.gateway.ledger.ids import new_id, now
from morula.gateway.ledger.records import Part, Record, Slice, by_id, every, first, part_of
from morula.gateway.ledger.tables import job, slide, slide_file


def create_slide(
    tx: Connection, values: Mapping[str, Any], files: Sequence[Mapping[str, Any]], upload_id: str | None = None
) -> Record:
    """Add a slide with its files; objects of its upload are kept for the slide from now on."""
    slide_id = new_id()
    tx.execute(insert(slide).values(id=slide_id, created_at=now(), **values))
    tx.execute(insert(slide_file), [{"slide_id": slide_id, **file} for file in files])
    if upload_id is not None:
        objects.hand_over(tx, upload_id, "slide", slide_id)
    announce(tx, "slide", slide_id)
    return get_slide(tx, slide_id)


def get_slide(tx: Connection, slide_id: str) -> Record:
    """The slide with this id."""
    return by_id(tx, slide, slide_id)


def describe_slide(tx: Connection, slide_id: str, values: Mapping[str, Any]) -> Record:
    """Note what is stated about a slide. The scale cannot change if a job has used another one."""
    row = get_slide(tx, slide_id)
    changed = {name: value for name, value in values.items() if value != row[name]}
    if "mpp" in changed:
        _check_scale(tx, slide_id, changed["mpp"])
        changed["mpp_assumed"] = False
    if "stain" in values and row["stain_detected"]:
        changed["stain_detected"] = False
    if changed:
        tx.execute(update(slide).where(slide.c.id == slide_id).values(**changed))
        announce(tx, "slide", slide_id)
    return get_slide(tx, slide_id)


def _check_scale(tx: Connection, slide_id: str, mpp: float) -> None:
    params: Iterable[Record] = tx.execute(select(job.c.params).where(job.c.slide_id == slide_id)).scalars()
    other = next((used["slide_mpp"] for used in params if used["slide_mpp"] != mpp), None)
    if other is not None:
        raise Conflict(
            f"A job of this slide used {other} microns per pixel, so that the slide keeps its scale: "
            "state slide_mpp with a job to use another for it.",
            slide_id=slide_id,
        )


def hold_slide(tx: Connection, slide_id: str) -> Record:
    """The slide with this id, which cannot be deleted before the transaction ends."""
    row = by_id(tx, slide, slide_id, lock=True)
    if row["deleting_since"] is not None:
        raise Conflict("The slide is being deleted.", slide_id=slide_id)
    return row


def find_slide(tx: Connection, project_id: str, digest: str) -> Record | None:
    """The project's slide with this digest, if it has one."""
    query = select(slide).where(slide.c.project_id == project_id, slide.c.digest == digest)
    return first(tx, query)


def list_slides(tx: Connection, project_id: str, wanted: Slice) -> Part:
    """Slides of a project, newest first."""
    query = select(slide).where(slide.c.project_id == project_id)
    return part_of(tx, query, slide.c.id, wanted, newest_first=True)


def slide_names(tx: Connection, slide_ids: Collection[str]) -> dict[str, str]:
    """Names of these slides by id."""
    rows = tx.execute(select(slide.c.id, slide.c.name).where(slide.c.id.in_(slide_ids)))
    return {row.id: row.name for row in rows}


def slide_files(tx: Connection, slide_id: str) -> list[Record]:
    """Files of a slide, by name."""
    query = select(slide_file).where(slide_file.c.slide_id == slide_id).order_by(slide_file.c.name)
    return every(tx, query)


def object_in_use(tx: Connection, key: str) -> bool:
    """Whether this object is a file of a slide."""
    return tx.execute(select(slide_file.c.slide_id).where(slide_file.c.key == key).limit(1)).first() is not None


def move_file(tx: Connection, slide_id: str, name: str, key: str) -> None:
    """Note another key for a file of a slide."""
    tx.execute(update(slide_file).where(slide_file.c.slide_id == slide_id, slide_file.c.name == name).values(key=key))
