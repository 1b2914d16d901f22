"""Sample tiles for people to label"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _samples()
    _tiles()
    op.add_column("truth", sa.Column("sample_id", sa.String(length=36), nullable=True))
    op.add_column("truth", sa.Column("sample_seq", sa.Integer(), nullable=True))


def _samples() -> None:
    op.create_table(
        "sample",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("label_set_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("batch_count", sa.Integer(), nullable=False),
        sa.Column("cells_per_batch", sa.Integer(), nullable=False),
        sa.Column("left_out", sa.JSON(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["label_set_id"], ["label_set.id"], name=op.f("fk_sample_label_set_id")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_sample_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sample")),
    )
    op.create_table(
        "sample_event",
        sa.Column("sample_id", sa.String(length=36), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("event_id", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["sample_id"], ["sample.id"], name=op.f("fk_sample_event_sample_id")),
        sa.PrimaryKeyConstraint("sample_id", "seq", name=op.f("pk_sample_event")),
        sa.UniqueConstraint("sample_id", "event_id", name=op.f("uq_sample_event_sample_id_event_id")),
    )


def _tiles() -> None:
    op.create_table(
        "sample_slide",
        sa.Column("sample_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("slide_id", sa.String(length=36), nullable=False),
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("slide_mpp", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_sample_slide_job_id")),
        sa.ForeignKeyConstraint(["sample_id"], ["sample.id"], name=op.f("fk_sample_slide_sample_id")),
        sa.ForeignKeyConstraint(["slide_id"], ["slide.id"], name=op.f("fk_sample_slide_slide_id")),
        sa.PrimaryKeyConstraint("sample_id", "position", name=op.f("pk_sample_slide")),
    )
    op.create_index("ix_sample_slide_job_id", "sample_slide", ["job_id"], unique=False)
    op.create_table(
        "sample_tile",
        sa.Column("sample_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=False),
        sa.Column("slide", sa.Integer(), nullable=False),
        sa.Column("tile", sa.Integer(), nullable=False),
        sa.Column("x_px", sa.BigInteger(), nullable=False),
        sa.Column("y_px", sa.BigInteger(), nullable=False),
        sa.Column("width_px", sa.BigInteger(), nullable=False),
        sa.Column("height_px", sa.BigInteger(), nullable=False),
        sa.Column("mpp", sa.Double(), nullable=False),
        sa.Column("cell_count", sa.Integer(), nullable=False),
        sa.Column("cell_ids", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["sample_id"], ["sample.id"], name=op.f("fk_sample_tile_sample_id")),
        sa.PrimaryKeyConstraint("sample_id", "number", name=op.f("pk_sample_tile")),
    )
