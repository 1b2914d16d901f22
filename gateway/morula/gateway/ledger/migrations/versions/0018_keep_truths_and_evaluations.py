"""Keep truths and evaluations"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "truth",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("classes", sa.JSON(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_truth_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_truth")),
        sa.UniqueConstraint("project_id", "sha256", name=op.f("uq_truth_project_id_sha256")),
    )
    op.create_table(
        "evaluation",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("clustering_id", sa.String(length=36), nullable=False),
        sa.Column("truth_id", sa.String(length=36), nullable=False),
        sa.Column("cluster_count", sa.Integer(), nullable=False),
        sa.Column("labelling_id", sa.String(length=36), nullable=True),
        sa.Column("labelling_seq", sa.Integer(), nullable=True),
        sa.Column("labels", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("choices", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["clustering_id"], ["clustering.id"], name=op.f("fk_evaluation_clustering_id")),
        sa.ForeignKeyConstraint(["id"], ["job.id"], name=op.f("fk_evaluation_id")),
        sa.ForeignKeyConstraint(["truth_id"], ["truth.id"], name=op.f("fk_evaluation_truth_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluation")),
    )
    op.create_index("ix_evaluation_clustering_id", "evaluation", ["clustering_id"], unique=False)
    op.create_index("ix_evaluation_truth_id", "evaluation", ["truth_id"], unique=False)
