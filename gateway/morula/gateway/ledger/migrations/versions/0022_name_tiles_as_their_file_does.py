"""Name tiles as the file does that they came in by"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sample_tile", sa.Column("named", sa.JSON(none_as_null=True), nullable=True))
