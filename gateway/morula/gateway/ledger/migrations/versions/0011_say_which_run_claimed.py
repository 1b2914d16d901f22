"""Say which run claimed an object last"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("object_use", sa.Column("generation", sa.BigInteger(), server_default="0", nullable=False))
    # Which of them were claimed by runs before the newest one is not known.
    op.execute(
        "UPDATE object_use SET generation = (SELECT job.generation FROM job WHERE job.id = object_use.owner_id) "
        "WHERE owner_kind = 'job' AND owner_id IN (SELECT id FROM job)"
    )
