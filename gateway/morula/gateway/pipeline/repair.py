"""What a job does when an artifact is missing or damaged: it drops what it can make again; otherwise the error says
what a person can do."""

import asyncio
from collections.abc import Mapping
from typing import Any

from morula.common.errors import DAMAGED, ArtifactChanged, ArtifactInvalid, ArtifactMissing, Gone, MorulaError
from morula.common.store import Store
from morula.common.telemetry import log
from morula.gateway.burial import Burial
from morula.gateway.ledger import artifacts, jobs, objects, slides
from morula.gateway.ledger.engine import Transactions

LOST = {
    "truth": "The truth is missing from the store or damaged: bring its file again, then retry this.",
    "effective": "The labels as they were are missing from the store or damaged: ask for another evaluation.",
}
REPAIR_LIMIT = 3
"""An attempt of a job has one artifact made again so often; after that the damage is no accident."""


async def repair(ledger: Transactions, store: Store, job_id: str, error: MorulaError) -> bool:
    """Drop the artifact that the error names, so that the job makes it again; False if the error is of another kind."""
    key = error.metadata.get("key", "")
    if not isinstance(error, DAMAGED) or not key:
        return False
    job = await ledger.read(jobs.get_job, job_id)
    await _check_own(ledger, job, key)
    if await ledger.write(artifacts.count_repair, job_id, key) > REPAIR_LIMIT:
        return False
    log.warning("artifact is made again", key=key, reason=error.reason, detail=str(error))
    burial = Burial(ledger, store)
    # If another job has made it again by now, it stays; but what has the right digest and cannot be read goes anyway.
    await (burial.drop(key) if isinstance(error, ArtifactInvalid) else burial.drop_damaged(key))
    return True


async def is_damaged(ledger: Transactions, store: Store, key: str) -> bool:
    """Whether the artifact is missing or has another digest than when it was made."""
    known = (await ledger.read(artifacts.find_made, [key])).get(key)
    if known is None or known["sha256"] == artifacts.UNKNOWN:
        return True
    try:
        await asyncio.to_thread(store.verify, key, known["sha256"])
    except (ArtifactMissing, ArtifactChanged):
        return True
    return False


async def _check_own(ledger: Transactions, job: Mapping[str, Any], key: str) -> None:
    """Raise Gone for what this job cannot make again: files of its slide, and results of other jobs."""
    if await ledger.read(slides.object_in_use, key):
        raise Gone("A file of the slide is missing from the store or damaged: upload the slide again.", key=key)
    stage = key.split("/")[2]
    if stage in LOST:
        raise Gone(LOST[stage], key=key)
    if job["kind"] != "slide" and not await ledger.read(objects.is_used_by, key, job["id"]):
        raise Gone(
            "Results of a job that this one goes on from are missing or damaged: retry that job first, then this one.",
            key=key,
        )
