"""Renew clusterings"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("clustering", sa.Column("renewed_count", sa.Integer(), server_default="0", nullable=False))
