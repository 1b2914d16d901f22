"""What only the ledger knows, as Prometheus reads it: of all gateways on this database."""

import asyncio
from functools import partial
from typing import get_args

from sqlalchemy import Connection, func, select

from morula.gateway.ledger import demand, jobs
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.tables import job, shard
from morula.gateway.schemas import JobState
from morula.gateway.shared import Shared

JOB_STATES = get_args(JobState)


class Numbers:
    """Counts once for all who ask: nobody needs a key for them, and a count reads whole tables."""

    def __init__(self, ledger: Ledger) -> None:
        self._counting = Shared(partial(ledger.read, _counts))

    async def lines(self) -> list[str]:
        """Lines of the text format."""
        count = self._counting.ask()
        await asyncio.wait([count])
        return count.result()


def _counts(tx: Connection) -> list[str]:
    """No job in a state is a number, too."""
    states: dict[str, int] = dict.fromkeys(JOB_STATES, 0)
    found = tx.execute(select(job.c.state, func.count()).group_by(job.c.state))
    states |= {str(row.state): int(row[1]) for row in found}
    units = tx.execute(select(shard.c.stage, shard.c.state, func.count()).group_by(shard.c.stage, shard.c.state)).all()
    runnable = demand.runnable_counts(tx)
    return [
        "# HELP morula_jobs Jobs by state, of all gateways on this database.",
        "# TYPE morula_jobs gauge",
        *(f'morula_jobs{{state="{state}"}} {count}' for state, count in states.items()),
        "# HELP morula_queue_age_seconds How long the oldest of the queued jobs has waited; 0 where none does.",
        "# TYPE morula_queue_age_seconds gauge",
        f"morula_queue_age_seconds {jobs.queue_age_s(tx):.1f}",
        "# HELP morula_shards Pieces of work by stage and state, of all gateways on this database.",
        "# TYPE morula_shards gauge",
        *(f'morula_shards{{stage="{stage}",state="{state}"}} {count}' for stage, state, count in units),
        "# HELP morula_runnable Pieces of work that a service could do now: what autoscalers look at.",
        "# TYPE morula_runnable gauge",
        *(f'morula_runnable{{service="{service}"}} {count}' for service, count in runnable.items()),
    ]
