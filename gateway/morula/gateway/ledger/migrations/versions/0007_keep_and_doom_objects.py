"""Write down for whom objects are kept, and which are to be deleted"""

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# What rows said of objects so far; references of the contract are JSON objects with a key.
FORMER = {
    "slide": ("SELECT slide_id, key FROM slide_file WHERE key LIKE '%/slide/%'",),
    "job": (
        "SELECT job_id, key FROM job_file",
        "SELECT id, settled FROM job WHERE settled IS NOT NULL",
        "SELECT job_id, artifacts FROM clustering",
    ),
    "labelling": ("SELECT labelling_id, learnt FROM label_layer",),
}


def upgrade() -> None:
    for table in ("slide", "job"):
        op.add_column(table, sa.Column("deleting_since", sa.Double()))
    op.create_table(
        "doomed_object",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_doomed_object")),
    )
    uses = op.create_table(
        "object_use",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.String(length=36), nullable=False),
        sa.Column("owner_kind", sa.Text(), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("key", "owner_id", name=op.f("pk_object_use")),
    )
    op.create_index(op.f("ix_object_use_owner_id"), "object_use", ["owner_id"])
    op.create_index(op.f("ix_object_use_owner_kind_since"), "object_use", ["owner_kind", "since"])
    known = sorted({(key, owner, kind) for kind in FORMER for owner, key in _former(kind)})
    rows = [{"key": key, "owner_id": owner, "owner_kind": kind, "since": 0.0} for key, owner, kind in known]
    if rows:
        op.bulk_insert(uses, rows)


def _former(kind: str) -> Iterator[tuple[str, str]]:
    for statement in FORMER[kind]:
        for owner, said in op.get_bind().execute(sa.text(statement)):
            for key in _keys(said):
                yield str(owner), key


def _keys(said: Any) -> Iterator[str]:
    if isinstance(said, str):
        # SQLite gives JSON as text, and null is JSON too.
        if not said.startswith("{") and said != "null":
            yield said
            return
        said = json.loads(said)
    if isinstance(said, dict):
        for name, value in said.items():
            if name == "key":
                yield value
            elif isinstance(value, dict | list):
                yield from _keys(value)
    elif isinstance(said, list):
        for value in said:
            yield from _keys(value)
