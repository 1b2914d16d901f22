"""Trace jobs from the request that made them, and each attempt from when it was asked for"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job", sa.Column("traceparent", sa.String(length=55), nullable=True))
    op.add_column("job", sa.Column("queued_at", sa.Double(), server_default="0", nullable=False))
    op.execute("UPDATE job SET queued_at = created_at")
