"""Say who deletes objects"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("doomed_object", sa.Column("taker", sa.String(length=36), nullable=True))
    op.add_column("doomed_object", sa.Column("beat", sa.BigInteger(), server_default="0", nullable=False))
