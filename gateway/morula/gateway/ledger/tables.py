"""Every table of the product. What users see lives here; the conductor's engine keeps its own tables elsewhere.

Ids are UUIDv7 strings, so that they sort by age. Times are seconds since 1970. Messages of the contract (references to
artifacts, results of calls) are stored as JSON objects in the shape that protobuf defines.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from morula.gateway.ledger.api_key_tables import api_key as api_key
from morula.gateway.ledger.metadata import id_column
from morula.gateway.ledger.metadata import metadata as metadata
from morula.gateway.ledger.sample_tables import sample as sample
from morula.gateway.ledger.sample_tables import sample_event as sample_event
from morula.gateway.ledger.sample_tables import sample_slide as sample_slide
from morula.gateway.ledger.sample_tables import sample_tile as sample_tile
from morula.gateway.ledger.suggestion_tables import suggestion as suggestion

SAME_JOB = text("state NOT IN ('failed', 'cancelled', 'cancelling')")

project = Table(
    "project", metadata, id_column(), Column("name", Text, nullable=False), Column("created_at", Double, nullable=False)
)

slide = Table(
    "slide",
    metadata,
    id_column(),
    Column("project_id", ForeignKey("project.id"), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("name", Text, nullable=False),
    Column("entry", Text, nullable=False),
    Column("width_px", BigInteger, nullable=False),
    Column("height_px", BigInteger, nullable=False),
    Column("mpp", Double),
    Column("mpp_assumed", Boolean, nullable=False),
    Column("objective_power", Double),
    Column("vendor", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("levels", JSON, nullable=False),
    Column("stain", Text),
    # Whether the stain is what the colours tell, and nobody said it.
    Column("stain_detected", Boolean, nullable=False, server_default=false()),
    Column("tissue", Text),
    Column("created_at", Double, nullable=False),
    # Since when it is to be deleted, once its jobs have ended.
    Column("deleting_since", Double),
    UniqueConstraint("project_id", "digest"),
)

slide_file = Table(
    "slide_file",
    metadata,
    Column("slide_id", ForeignKey("slide.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("key", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
)

job = Table(
    "job",
    metadata,
    id_column(),
    Column("project_id", ForeignKey("project.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("slide_id", ForeignKey("slide.id")),
    Column("source_job_ids", JSON, nullable=False),
    Column("name", Text, nullable=False),
    Column("params", JSON, nullable=False),
    Column("params_digest", String(64), nullable=False),
    Column("state", Text, nullable=False),
    Column("verdict", Text),
    Column("stage", Text),
    Column("attempt", Integer, nullable=False),
    # The conductor that runs the job, how often it was taken up, and a count that grows while it is run.
    Column("conductor", Text),
    Column("generation", Integer, nullable=False, server_default="0"),
    Column("beat", BigInteger, nullable=False, server_default="0"),
    # Unforeseen ends of runs in this attempt.
    Column("crash_count", Integer, nullable=False, server_default="0"),
    # What is away that the job waits for.
    Column("waiting_for", Text),
    Column("cell_count", BigInteger),
    Column("truncated_cell_count", BigInteger),
    Column("unembedded_cell_count", BigInteger),
    Column("tile_count", BigInteger),
    Column("kept_tile_count", BigInteger, nullable=False),
    Column("failed_tile_count", BigInteger, nullable=False),
    Column("settled", JSON),
    Column("clustering_id", String(36)),
    Column("labelling_id", String(36)),
    Column("result_digest", String(64)),
    Column("error", JSON),
    # Span of the request that made the job (W3C traceparent): all work for the job belongs to the same trace.
    Column("traceparent", String(55)),
    Column("created_at", Double, nullable=False),
    # When this attempt was asked for.
    Column("queued_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    # Since when it is to be deleted, once it has ended.
    Column("deleting_since", Double),
    Index("ix_job_params_digest", "params_digest"),
    # Of jobs with equal parameters at most one is queued, running or succeeded.
    Index("uq_job_same", "params_digest", unique=True, sqlite_where=SAME_JOB, postgresql_where=SAME_JOB),
    Index("ix_job_state", "state"),
    Index("ix_job_slide_id", "slide_id"),
)

stage = Table(
    "stage",
    metadata,
    Column("job_id", ForeignKey("job.id"), primary_key=True),
    Column("stage", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("done_count", BigInteger, nullable=False),
    Column("total_count", BigInteger),
    # Seconds in which at least one call of the stage was under way, and until when they are counted.
    Column("busy_s", Double, nullable=False),
    Column("busy_until", Double, nullable=False),
)

shard = Table(
    "shard",
    metadata,
    Column("job_id", String(36), primary_key=True),
    Column("stage", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("state", Text, nullable=False),
    # Calls that count as attempts; calls refused as busy, which do not; calls that made something.
    Column("attempt_count", Integer, nullable=False),
    Column("busy_count", Integer, nullable=False),
    Column("write_count", Integer, nullable=False),
    Column("result", JSON),
    Column("started_at", Double),
    Column("finished_at", Double),
    ForeignKeyConstraint(["job_id", "stage"], ["stage.job_id", "stage.stage"]),
    Index("ix_shard_stage_state", "stage", "state"),
)

# When a call last found a service away: the view `morula_runnable` counts it.
wanted_service = Table(
    "wanted_service",
    metadata,
    Column("service", String(16), primary_key=True),
    Column("asked_at", Double, nullable=False),
)

job_file = Table(
    "job_file",
    metadata,
    Column("job_id", ForeignKey("job.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("key", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
)

# Digest and size of each artifact when it was made; its key is known before, but not its bytes.
artifact = Table(
    "artifact",
    metadata,
    Column("key", Text, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    # Digest of its inputs: an artifact whose inputs have changed is made again.
    Column("made_of", String(64), nullable=False),
    # Whether it came out differently when it was made again, or may have.
    Column("remade", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
)

# How often a job's attempt had an artifact made again.
repair = Table(
    "repair",
    metadata,
    Column("job_id", ForeignKey("job.id"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("count", Integer, nullable=False),
)

clustering = Table(
    "clustering",
    metadata,
    id_column(),
    Column("project_id", ForeignKey("project.id"), nullable=False),
    Column("job_id", ForeignKey("job.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("artifacts", JSON, nullable=False),
    Column("cell_count", BigInteger, nullable=False),
    Column("leaf_count", Integer, nullable=False),
    Column("noise_count", BigInteger, nullable=False),
    Column("cluster_count", Integer, nullable=False),
    Column("structure_found", Boolean, nullable=False),
    Column("feature_names", JSON, nullable=False),
    Column("created_at", Double, nullable=False),
    # How well the cells of its slides mix; null of one slide, of too few cells, and where it was not asked yet.
    Column("mixing", JSON(none_as_null=True)),
    # Of which clustering which node was split into which; null of those that were not made by a split.
    Column("split", JSON(none_as_null=True)),
    # Of which clustering which clusters stayed, and which the rest falls into; null where it was not grouped anew.
    Column("regrouping", JSON(none_as_null=True)),
    # How often its artifacts were replaced by others with the same cells and clusters.
    Column("renewed_count", Integer, nullable=False, server_default="0"),
    UniqueConstraint("job_id"),
)

clustering_slide = Table(
    "clustering_slide",
    metadata,
    Column("clustering_id", ForeignKey("clustering.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("slide_id", ForeignKey("slide.id"), nullable=False),
    Column("job_id", ForeignKey("job.id"), nullable=False),
    Column("row_start", BigInteger, nullable=False),
    Column("row_stop", BigInteger, nullable=False),
    Column("slide_mpp", Double, nullable=False),
    Column("settled", JSON, nullable=False),
)

cut = Table(
    "cut",
    metadata,
    Column("clustering_id", ForeignKey("clustering.id"), primary_key=True),
    Column("cluster_count", Integer, primary_key=True),
    Column("body", JSON, nullable=False),
)

label_set = Table(
    "label_set",
    metadata,
    id_column(),
    Column("project_id", ForeignKey("project.id"), nullable=False),
    Column("name", Text, nullable=False),
    # The number that the next class takes: numbers are never used again.
    Column("next_number", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
)

label_class = Table(
    "label_class",
    metadata,
    Column("label_set_id", ForeignKey("label_set.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("color", String(7), nullable=False),
    UniqueConstraint("label_set_id", "name"),
)

labelling = Table(
    "labelling",
    metadata,
    id_column(),
    Column("clustering_id", ForeignKey("clustering.id"), nullable=False),
    Column("label_set_id", ForeignKey("label_set.id"), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("cluster_count", Integer, nullable=False),
    # Where its first events were copied from, and how much of it came along; null where it began empty.
    Column("moved", JSON(none_as_null=True)),
    Column("created_at", Double, nullable=False),
    Index("ix_labelling_clustering_id", "clustering_id"),
)

# What somebody said of cells, to measure clusters and labels against.
truth = Table(
    "truth",
    metadata,
    id_column(),
    Column("project_id", ForeignKey("project.id"), nullable=False),
    Column("name", Text, nullable=False),
    # By what it names its cells.
    Column("kind", Text, nullable=False),
    Column("row_count", BigInteger, nullable=False),
    # How many rows there are of each class.
    Column("classes", JSON, nullable=False),
    Column("key", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    # The sample whose labels it was made of, after which event; the sample may have been deleted since.
    Column("sample_id", String(36)),
    Column("sample_seq", Integer),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("project_id", "sha256"),
)

# What a job of this kind measures; it has the job's id.
evaluation = Table(
    "evaluation",
    metadata,
    Column("id", ForeignKey("job.id"), primary_key=True),
    Column("clustering_id", ForeignKey("clustering.id"), nullable=False),
    Column("truth_id", ForeignKey("truth.id"), nullable=False),
    Column("cluster_count", Integer, nullable=False),
    # The labels that are measured in place of clusters: of which labelling, after which event, and where they lie.
    Column("labelling_id", String(36)),
    Column("labelling_seq", Integer),
    Column("labels", JSON(none_as_null=True)),
    # How it is measured.
    Column("choices", JSON, nullable=False),
    Index("ix_evaluation_clustering_id", "clustering_id"),
    Index("ix_evaluation_truth_id", "truth_id"),
)

# Append-only: rows are inserted and read, never changed. A labelling's state is a fold over them.
label_event = Table(
    "label_event",
    metadata,
    Column("labelling_id", ForeignKey("labelling.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("actor", Text, nullable=False),
    Column("time", Double, nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", JSON, nullable=False),
)

# What was learnt from the events up to `seq` under one cut; it can be learnt again at any time.
label_layer = Table(
    "label_layer",
    metadata,
    Column("labelling_id", ForeignKey("labelling.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("cluster_count", Integer, primary_key=True),
    Column("learnt", JSON, nullable=False),
    Column("learned_s", Double, nullable=False),
)

# Changes for listeners: which subject changed.
event = Table(
    "event",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("subject_id", String(36), nullable=False),
    Column("time", Double, nullable=False),
    Index("ix_event_subject_id_seq", "subject_id", "seq"),
)

counter = Table(
    "counter", metadata, Column("name", String(40), primary_key=True), Column("value", BigInteger, nullable=False)
)

# For whom an object of the store is kept: a slide, a job, a labelling, or an upload that is no slide yet. Written
# before the object is.
object_use = Table(
    "object_use",
    metadata,
    Column("key", Text, primary_key=True),
    Column("owner_id", String(36), primary_key=True),
    Column("owner_kind", Text, nullable=False),
    Column("since", Double, nullable=False),
    # The generation under which it was claimed last, if its owner is a job.
    Column("generation", BigInteger, nullable=False, server_default="0"),
    Index("ix_object_use_owner_id", "owner_id"),
    Index("ix_object_use_owner_kind_since", "owner_kind", "since"),
)

# Objects that nobody uses any more and that are still to be deleted from the store.
doomed_object = Table(
    "doomed_object",
    metadata,
    Column("key", Text, primary_key=True),
    Column("since", Double, nullable=False),
    # Who is deleting it, and a count that grows while they do.
    Column("taker", String(36)),
    Column("beat", BigInteger, nullable=False, server_default="0"),
)
