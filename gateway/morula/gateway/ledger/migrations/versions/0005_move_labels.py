"""Tell where a labelling's first events were copied from"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("labelling", sa.Column("moved", sa.JSON(none_as_null=True), nullable=True))
