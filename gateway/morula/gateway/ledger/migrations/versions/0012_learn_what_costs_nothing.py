"""Learn again: what is learnt tells now also how right the commonest class and cluster names were"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(sa.text("DELETE FROM label_layer"))
