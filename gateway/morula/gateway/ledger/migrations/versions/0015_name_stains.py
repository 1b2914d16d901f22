"""Name stains by the words of a closed list, and say which are told by colours"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

BEGINNINGS = {
    "H&E": ("h&e", "h+e", "h/e", "hematoxylin", "haematoxylin"),
    "IHC": ("ihc", "immunohisto", "dab"),
    "fluorescence": ("immunofluo", "fluo", "dapi"),
}
"""How what people wrote begins, without spaces and in small letters; all else is another stain."""


def upgrade() -> None:
    op.add_column("slide", sa.Column("stain_detected", sa.Boolean(), nullable=False, server_default=sa.false()))
    slide = sa.table("slide", sa.column("stain", sa.Text()))
    written = sa.func.lower(sa.func.replace(slide.c.stain, " ", ""))
    begun = [
        (written.startswith(beginning, autoescape=True), stain)
        for stain, beginnings in BEGINNINGS.items()
        for beginning in beginnings
    ]
    short = [(written == word, stain) for word, stain in (("he", "H&E"), ("if", "fluorescence"))]
    known = sa.case(*short, *begun, else_="other")
    op.execute(slide.update().where(slide.c.stain.is_not(None)).values(stain=known))
