"""Count cells without a vector"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job", sa.Column("unembedded_cell_count", sa.BigInteger(), nullable=True))
