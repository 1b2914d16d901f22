"""Samples, their slides and tiles, and the log of what was said of them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select

from morula.common.errors import Conflict, NotFound
from morula.gateway.ledger import jobs
from morula.gateway.ledger.events import announce
from morula.gateway.ledger.ids import new_id, now
from morula.gateway.ledger.logs import Log
from morula.gateway.ledger.records import Part, Record, Slice, by_id, every, first, part_of
from morula.gateway.ledger.tables import job, sample, sample_event, sample_slide, sample_tile, slide

WORDS = Log(sample, sample_event)
TILE_COLUMNS = [column for column in sample_tile.c if column.name != "cell_ids"]
"""The ids of cells are read tile by tile."""


class Sampled(NamedTuple):
    """A new sample's rows."""

    values: Mapping[str, Any]
    slides: Sequence[Mapping[str, Any]]
    tiles: Sequence[Mapping[str, Any]]


def create_sample(tx: Connection, made: Sampled, settled: Mapping[str, Any]) -> str:
    """Add a sample; Conflict where a job does not have the cells any more that were sampled."""
    sources = jobs.hold_sources(tx, [row["job_id"] for row in made.slides])
    changed = next((source for source in sources if source["settled"] != settled[source["id"]]), None)
    if changed is not None:
        raise Conflict("The cells of a job were made again meanwhile: ask again.", job_id=changed["id"])
    sample_id = new_id()
    tx.execute(insert(sample).values(id=sample_id, seq=0, created_at=now(), **made.values))
    for table, rows in ((sample_slide, made.slides), (sample_tile, made.tiles)):
        tx.execute(insert(table), [{"sample_id": sample_id, **row} for row in rows])
    announce(tx, "sample", sample_id)
    return sample_id


def get_sample(tx: Connection, sample_id: str, *, lock: bool = False) -> Record:
    """The sample with this id; with `lock` those who say something of it take turns."""
    return by_id(tx, sample, sample_id, lock=lock)


def list_samples(tx: Connection, project_id: str, wanted: Slice) -> Part:
    """Samples of a project, newest first."""
    return part_of(tx, select(sample).where(sample.c.project_id == project_id), sample.c.id, wanted, newest_first=True)


def sample_slides(tx: Connection, sample_id: str) -> list[Record]:
    """Slides of a sample with the cells that their jobs found, as they are now."""
    of_slides = sample_slide.join(slide, slide.c.id == sample_slide.c.slide_id)
    joined = of_slides.join(job, job.c.id == sample_slide.c.job_id)
    columns = (slide.c.name, slide.c.digest, slide.c.tissue, job.c.settled)
    query = select(sample_slide, *columns).select_from(joined).where(sample_slide.c.sample_id == sample_id)
    return every(tx, query.order_by(sample_slide.c.position))


def sample_tiles(tx: Connection, sample_id: str, batch: int | None = None) -> list[Record]:
    """Tiles of a sample, or of one of its batches, without the ids of their cells."""
    query = select(*TILE_COLUMNS).where(sample_tile.c.sample_id == sample_id)
    if batch is not None:
        query = query.where(sample_tile.c.batch == batch)
    return every(tx, query.order_by(sample_tile.c.number))


def part_of_tiles(tx: Connection, sample_id: str, wanted: Slice, batch: int | None) -> Part:
    """Some of a sample's tiles, in the order in which they are shown."""
    query = select(*TILE_COLUMNS).where(sample_tile.c.sample_id == sample_id)
    if batch is not None:
        query = query.where(sample_tile.c.batch == batch)
    return part_of(tx, query, sample_tile.c.number, wanted)


def get_tile(tx: Connection, sample_id: str, number: int) -> Record:
    """One tile with the ids of its cells."""
    row = first(tx, select(sample_tile).where(sample_tile.c.sample_id == sample_id, sample_tile.c.number == number))
    if row is None:
        raise NotFound("The sample has no tile of this number.", sample_id=sample_id, number=str(number))
    return row


def tiles_with_cells(tx: Connection, sample_id: str, batch: int | None = None) -> list[Record]:
    """Tiles of a sample, or of one of its batches, with the ids of their cells."""
    query = select(sample_tile).where(sample_tile.c.sample_id == sample_id)
    if batch is not None:
        query = query.where(sample_tile.c.batch == batch)
    return every(tx, query.order_by(sample_tile.c.number))


def find_event(tx: Connection, sample_id: str, event_id: str) -> Record | None:
    """The event that its sender calls so."""
    query = select(sample_event).where(sample_event.c.sample_id == sample_id, sample_event.c.event_id == event_id)
    return first(tx, query)
