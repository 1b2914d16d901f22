"""Tell how slides mix"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("clustering", sa.Column("mixing", sa.JSON(), nullable=True))
