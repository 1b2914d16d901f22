"""Lay the tables"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _lay_changes_and_projects()
    _lay_slides()
    _lay_jobs()
    _lay_work()
    _lay_clusterings()
    _lay_labels()


def _lay_changes_and_projects() -> None:
    op.create_table(
        "counter",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counter")),
    )
    op.create_table(
        "event",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.String(length=36), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_event")),
    )
    op.create_table(
        "project",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project")),
    )


def _lay_slides() -> None:
    op.create_table(
        "slide",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("width_px", sa.BigInteger(), nullable=False),
        sa.Column("height_px", sa.BigInteger(), nullable=False),
        sa.Column("mpp", sa.Double(), nullable=True),
        sa.Column("mpp_assumed", sa.Boolean(), nullable=False),
        sa.Column("objective_power", sa.Double(), nullable=True),
        sa.Column("vendor", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("levels", sa.JSON(), nullable=False),
        sa.Column("stain", sa.Text(), nullable=True),
        sa.Column("tissue", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_slide_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_slide")),
        sa.UniqueConstraint("project_id", "digest", name=op.f("uq_slide_project_id_digest")),
    )
    op.create_table(
        "slide_file",
        sa.Column("slide_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["slide_id"], ["slide.id"], name=op.f("fk_slide_file_slide_id")),
        sa.PrimaryKeyConstraint("slide_id", "name", name=op.f("pk_slide_file")),
    )


def _lay_jobs() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("slide_id", sa.String(length=36), nullable=True),
        sa.Column("source_job_ids", sa.JSON(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("params_digest", sa.String(length=64), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("stage", sa.Text(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("cell_count", sa.BigInteger(), nullable=True),
        sa.Column("tile_count", sa.BigInteger(), nullable=True),
        sa.Column("kept_tile_count", sa.BigInteger(), nullable=False),
        sa.Column("failed_tile_count", sa.BigInteger(), nullable=False),
        sa.Column("settled", sa.JSON(), nullable=True),
        sa.Column("clustering_id", sa.String(length=36), nullable=True),
        sa.Column("labelling_id", sa.String(length=36), nullable=True),
        sa.Column("result_digest", sa.String(length=64), nullable=True),
        sa.Column("error", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_job_project_id")),
        sa.ForeignKeyConstraint(["slide_id"], ["slide.id"], name=op.f("fk_job_slide_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
    )
    op.create_index("ix_job_params_digest", "job", ["params_digest"], unique=False)
    op.create_index("ix_job_slide_id", "job", ["slide_id"], unique=False)
    op.create_index("ix_job_state", "job", ["state"], unique=False)


def _lay_work() -> None:
    op.create_table(
        "job_file",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_job_file_job_id")),
        sa.PrimaryKeyConstraint("job_id", "name", name=op.f("pk_job_file")),
    )
    op.create_table(
        "stage",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("done_count", sa.BigInteger(), nullable=False),
        sa.Column("total_count", sa.BigInteger(), nullable=True),
        sa.Column("busy_s", sa.Double(), nullable=False),
        sa.Column("busy_until", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_stage_job_id")),
        sa.PrimaryKeyConstraint("job_id", "stage", name=op.f("pk_stage")),
    )
    op.create_table(
        "shard",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.Column("busy_count", sa.Integer(), nullable=False),
        sa.Column("write_count", sa.Integer(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id", "stage"], ["stage.job_id", "stage.stage"], name=op.f("fk_shard_job_id_stage")
        ),
        sa.PrimaryKeyConstraint("job_id", "stage", "number", name=op.f("pk_shard")),
    )
    op.create_index("ix_shard_stage_state", "shard", ["stage", "state"], unique=False)


def _lay_clusterings() -> None:
    op.create_table(
        "clustering",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("artifacts", sa.JSON(), nullable=False),
        sa.Column("cell_count", sa.BigInteger(), nullable=False),
        sa.Column("leaf_count", sa.Integer(), nullable=False),
        sa.Column("noise_count", sa.BigInteger(), nullable=False),
        sa.Column("cluster_count", sa.Integer(), nullable=False),
        sa.Column("structure_found", sa.Boolean(), nullable=False),
        sa.Column("feature_names", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_clustering_job_id")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_clustering_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clustering")),
        sa.UniqueConstraint("job_id", name=op.f("uq_clustering_job_id")),
    )
    op.create_table(
        "clustering_slide",
        sa.Column("clustering_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("slide_id", sa.String(length=36), nullable=False),
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("row_start", sa.BigInteger(), nullable=False),
        sa.Column("row_stop", sa.BigInteger(), nullable=False),
        sa.Column("slide_mpp", sa.Double(), nullable=False),
        sa.Column("settled", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["clustering_id"], ["clustering.id"], name=op.f("fk_clustering_slide_clustering_id")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_clustering_slide_job_id")),
        sa.ForeignKeyConstraint(["slide_id"], ["slide.id"], name=op.f("fk_clustering_slide_slide_id")),
        sa.PrimaryKeyConstraint("clustering_id", "position", name=op.f("pk_clustering_slide")),
    )
    op.create_table(
        "cut",
        sa.Column("clustering_id", sa.String(length=36), nullable=False),
        sa.Column("cluster_count", sa.Integer(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["clustering_id"], ["clustering.id"], name=op.f("fk_cut_clustering_id")),
        sa.PrimaryKeyConstraint("clustering_id", "cluster_count", name=op.f("pk_cut")),
    )


def _lay_labels() -> None:
    op.create_table(
        "label_set",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("next_number", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_label_set_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_label_set")),
    )
    op.create_table(
        "label_class",
        sa.Column("label_set_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("color", sa.String(length=7), nullable=False),
        sa.ForeignKeyConstraint(["label_set_id"], ["label_set.id"], name=op.f("fk_label_class_label_set_id")),
        sa.PrimaryKeyConstraint("label_set_id", "number", name=op.f("pk_label_class")),
        sa.UniqueConstraint("label_set_id", "name", name=op.f("uq_label_class_label_set_id_name")),
    )
    op.create_table(
        "labelling",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("clustering_id", sa.String(length=36), nullable=False),
        sa.Column("label_set_id", sa.String(length=36), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("cluster_count", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["clustering_id"], ["clustering.id"], name=op.f("fk_labelling_clustering_id")),
        sa.ForeignKeyConstraint(["label_set_id"], ["label_set.id"], name=op.f("fk_labelling_label_set_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_labelling")),
    )
    op.create_index("ix_labelling_clustering_id", "labelling", ["clustering_id"], unique=False)
    op.create_table(
        "label_event",
        sa.Column("labelling_id", sa.String(length=36), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["labelling_id"], ["labelling.id"], name=op.f("fk_label_event_labelling_id")),
        sa.PrimaryKeyConstraint("labelling_id", "seq", name=op.f("pk_label_event")),
    )
    op.create_table(
        "label_layer",
        sa.Column("labelling_id", sa.String(length=36), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("cluster_count", sa.Integer(), nullable=False),
        sa.Column("learnt", sa.JSON(), nullable=False),
        sa.Column("learned_s", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["labelling_id"], ["labelling.id"], name=op.f("fk_label_layer_labelling_id")),
        sa.PrimaryKeyConstraint("labelling_id", "seq", "cluster_count", name=op.f("pk_label_layer")),
    )
