"""Group the rest anew: splits are one kind of changes, which jobs and clusterings tell of"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

NAMES = {"splits": "changes", "split_of": "change_of"}


def upgrade() -> None:
    op.add_column("clustering", sa.Column("regrouping", sa.JSON(), nullable=True))
    job = sa.table(
        "job",
        sa.column("id", sa.Text()),
        sa.column("kind", sa.Text()),
        sa.column("params", sa.JSON()),
    )
    tx = op.get_bind()
    for row in tx.execute(sa.select(job.c.id, job.c.params).where(job.c.kind == "split")).mappings().all():
        renamed = {NAMES.get(name, name): value for name, value in row["params"].items()}
        tx.execute(job.update().where(job.c.id == row["id"]).values(params=renamed))
