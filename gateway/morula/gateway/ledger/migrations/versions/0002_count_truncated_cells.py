"""Count truncated cells"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job", sa.Column("truncated_cell_count", sa.BigInteger(), nullable=True))
