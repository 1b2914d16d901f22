"""Suggest names of clusters"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "suggestion",
        sa.Column("labelling_id", sa.String(length=36), nullable=False),
        sa.Column("node_id", sa.BigInteger(), nullable=False),
        sa.Column("class_number", sa.Integer(), nullable=True),
        sa.Column("votes", sa.JSON(), nullable=False),
        sa.Column("origin", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["labelling_id"], ["labelling.id"], name=op.f("fk_suggestion_labelling_id")),
        sa.PrimaryKeyConstraint("labelling_id", "node_id", name=op.f("pk_suggestion")),
    )
