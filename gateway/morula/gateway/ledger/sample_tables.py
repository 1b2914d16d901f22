"""Tables of samples: tiles that were drawn for people to label, and what was said of their cells."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from morula.gateway.ledger.metadata import id_column, metadata

# Tiles that were drawn for people to label, in batches.
sample = Table(
    "sample",
    metadata,
    id_column(),
    Column("project_id", ForeignKey("project.id"), nullable=False),
    Column("label_set_id", ForeignKey("label_set.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("batch_count", Integer, nullable=False),
    Column("cells_per_batch", Integer, nullable=False),
    # Tiles that are in no batch, by slide, and why.
    Column("left_out", JSON, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
)

# Whose tiles these are: slides, as jobs found their cells.
sample_slide = Table(
    "sample_slide",
    metadata,
    Column("sample_id", ForeignKey("sample.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("slide_id", ForeignKey("slide.id"), nullable=False),
    Column("job_id", ForeignKey("job.id"), nullable=False),
    Column("slide_mpp", Double, nullable=False),
    Index("ix_sample_slide_job_id", "job_id"),
)

sample_tile = Table(
    "sample_tile",
    metadata,
    Column("sample_id", ForeignKey("sample.id"), primary_key=True),
    # In the order in which tiles are shown, batch after batch, from 1.
    Column("number", Integer, primary_key=True),
    Column("batch", Integer, nullable=False),
    # Its slide's position, and its own number on that slide's grid.
    Column("slide", Integer, nullable=False),
    Column("tile", Integer, nullable=False),
    Column("x_px", BigInteger, nullable=False),
    Column("y_px", BigInteger, nullable=False),
    Column("width_px", BigInteger, nullable=False),
    Column("height_px", BigInteger, nullable=False),
    Column("mpp", Double, nullable=False),
    Column("cell_count", Integer, nullable=False),
    # Cells are called by their places here, from 1.
    Column("cell_ids", JSON, nullable=False),
    # What the file calls it and its cells that it came in by; null where it was sampled here.
    Column("named", JSON(none_as_null=True)),
)

# Append-only, as label_event is.
sample_event = Table(
    "sample_event",
    metadata,
    Column("sample_id", ForeignKey("sample.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("actor", Text, nullable=False),
    Column("time", Double, nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", JSON, nullable=False),
    # What its sender calls it: sent again it is the same event.
    Column("event_id", String(64)),
    UniqueConstraint("sample_id", "event_id"),
)
