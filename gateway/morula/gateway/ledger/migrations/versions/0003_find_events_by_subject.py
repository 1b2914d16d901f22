"""Find events by their subject"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_event_subject_id_seq"), "event", ["subject_id", "seq"])
