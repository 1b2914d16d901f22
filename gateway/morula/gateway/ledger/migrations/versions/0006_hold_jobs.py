"""Say who runs a job, and let one of the same jobs exist"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job", sa.Column("conductor", sa.Text(), nullable=True))
    op.add_column("job", sa.Column("generation", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("job", sa.Column("beat", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("job", sa.Column("crash_count", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("job", sa.Column("waiting_for", sa.Text(), nullable=True))
    # Of jobs that were made at once for the same, the newest is the one that is found: the others stay, as themselves.
    op.execute(
        """
        UPDATE job SET params_digest = id
        WHERE state NOT IN ('failed', 'cancelled', 'cancelling') AND EXISTS (
            SELECT 1 FROM job AS newer
            WHERE newer.params_digest = job.params_digest AND newer.id > job.id
            AND newer.state NOT IN ('failed', 'cancelled', 'cancelling')
        )
        """
    )
    where = sa.text("state NOT IN ('failed', 'cancelled', 'cancelling')")
    op.create_index("uq_job_same", "job", ["params_digest"], unique=True, sqlite_where=where, postgresql_where=where)
