"""Name stains by the words of a closed list, and say which are told by colours"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

WORDS = {
    "h&e": "H&E",
    "he": "H&E",
    "h+e": "H&E",
    "ihc": "IHC",
    "dab": "IHC",
    "if": "fluorescence",
    "fluorescence": "fluorescence",
    "dapi": "fluorescence",
}
"""What people wrote when they could write anything; all else is another stain."""


def upgrade() -> None:
    op.add_column("slide", sa.Column("stain_detected", sa.Boolean(), nullable=False, server_default=sa.false()))
    slide = sa.table("slide", sa.column("stain", sa.Text()))
    written = sa.func.lower(sa.func.replace(slide.c.stain, " ", ""))
    known = sa.case(*((written == word, stain) for word, stain in WORDS.items()), else_="other")
    op.execute(slide.update().where(slide.c.stain.is_not(None)).values(stain=known))
