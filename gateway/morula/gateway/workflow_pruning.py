"""Prunes the engine's database: it keeps steps of every shard, which nobody needs once a job has ended."""

from datetime import UTC, datetime

from dbos import DBOS

from morula.gateway.ledger import jobs
from morula.gateway.ledger.engine import Transactions

ENDED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
FORGOTTEN_AT_ONCE = 50


async def forget_ended(ledger: Transactions, before: float) -> int:
    """Delete workflows that began before this time and have ended, as have their jobs; how many."""
    limit = datetime.fromtimestamp(before, UTC).isoformat()
    unfinished = {row["id"] for row in await ledger.read(jobs.unfinished_jobs)}
    known = await DBOS.list_workflows_async(status=ENDED, end_time=limit, load_input=False, load_output=False)
    # The name of a run begins with its job's.
    ended = [one.workflow_id for one in known if one.workflow_id.partition(":")[0] not in unfinished]
    for start in range(0, len(ended), FORGOTTEN_AT_ONCE):
        await DBOS.delete_workflows_async(ended[start : start + FORGOTTEN_AT_ONCE])
    return len(ended)
