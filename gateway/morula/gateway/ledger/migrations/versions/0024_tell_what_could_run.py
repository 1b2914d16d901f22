"""Tell what could run"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

# Which service makes the units of which stage. Files of results are written by the gateway itself.
MAKERS = {
    "tiler": ("plan", "cut"),
    "segmenter": ("segment",),
    "embedder": ("embed",),
    "clusterer": ("settle", "cluster"),
    "evaluator": ("evaluate",),
}
WANTED_S = 60


def upgrade() -> None:
    op.create_table(
        "wanted_service",
        sa.Column("service", sa.String(length=16), nullable=False),
        sa.Column("asked_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("service", name=op.f("pk_wanted_service")),
    )
    seconds = "extract(epoch FROM now())" if op.get_bind().dialect.name == "postgresql" else "unixepoch()"
    op.execute(
        "CREATE VIEW morula_runnable AS " + " UNION ALL ".join(_counts(*each, seconds) for each in MAKERS.items())
    )


def _counts(service: str, stages: tuple[str, ...], seconds: str) -> str:
    listed = ", ".join(f"'{stage}'" for stage in stages)
    return f"""
        SELECT '{service}' AS service, (
            SELECT count(*) FROM shard JOIN job ON job.id = shard.job_id
            WHERE shard.stage IN ({listed}) AND shard.state IN ('waiting', 'running') AND job.state = 'running'
        ) + (
            SELECT count(*) FROM wanted_service
            WHERE wanted_service.service = '{service}' AND wanted_service.asked_at > {seconds} - {WANTED_S}
        ) AS runnable"""  # noqa: S608 every word of it is written above
