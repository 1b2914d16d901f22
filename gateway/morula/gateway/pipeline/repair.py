"""What a job does about an artifact that is gone or damaged: what it can make again it drops, and of the rest it says
what a person can do."""

import asyncio
from collections.abc import Mapping
from typing import Any

from morula.common.errors import DAMAGED, ArtifactChanged, ArtifactInvalid, ArtifactMissing, Gone, MorulaError
from morula.common.formats import CLUSTERING_ARTIFACTS
from morula.common.store import Store
from morula.common.telemetry import log
from morula.gateway.burial import Burial
from morula.gateway.ledger import artifacts, jobs, slides
from morula.gateway.ledger.engine import Transactions

REPAIR_LIMIT = 3
"""So often an attempt of a job has one artifact made again; what is damaged each time is not damaged by chance."""


async def repair(ledger: Transactions, store: Store, job_id: str, error: MorulaError) -> bool:
    """Have the job make again what the error says is damaged; False where that is not what ails it."""
    key = error.metadata.get("key", "")
    if not isinstance(error, DAMAGED) or not key:
        return False
    job = await ledger.read(jobs.get_job, job_id)
    await _check_own(ledger, job, key)
    if await ledger.write(artifacts.count_repair, job_id, key) > REPAIR_LIMIT:
        return False
    log.warning("artifact is made again", key=key, reason=error.reason, detail=str(error))
    burial = Burial(ledger, store)
    # Another job may have made it again by now; what cannot be read though it is as it was made is still wrong.
    await (burial.drop(key) if isinstance(error, ArtifactInvalid) else burial.drop_damaged(key))
    return True


async def is_damaged(ledger: Transactions, store: Store, key: str) -> bool:
    """Whether the artifact is not there as it was made: another job may have made it again by now."""
    known = (await ledger.read(artifacts.find_made, [key])).get(key)
    if known is None or known["sha256"] == artifacts.UNKNOWN:
        return True
    try:
        await asyncio.to_thread(store.verify, key, known["sha256"])
    except (ArtifactMissing, ArtifactChanged):
        return True
    return False


async def _check_own(ledger: Transactions, job: Mapping[str, Any], key: str) -> None:
    """Only what this job makes is dropped: its slide and other jobs' results cannot be made again by it."""
    if await ledger.read(slides.object_in_use, key):
        raise Gone("A file of the slide is missing from the store or damaged: upload the slide again.", key=key)
    if job["kind"] == "cohort" and key.split("/")[2] not in CLUSTERING_ARTIFACTS:
        raise Gone("Results of a slide's job are missing or damaged: retry that job first, then this one.", key=key)
