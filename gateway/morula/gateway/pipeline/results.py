"""Whether what a job left in the store is still there and undamaged."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import Connection

from morula.common.errors import ArtifactChanged, ArtifactMissing, Gone
from morula.common.formats import CLUSTERING_ARTIFACTS
from morula.common.shard_lists import shards_of
from morula.common.store import Store, check_sha256
from morula.common.telemetry import log
from morula.gateway.burial import Burial
from morula.gateway.ledger import artifacts, clusterings, jobs, slides
from morula.gateway.ledger.engine import Transactions
from morula.gateway.ledger.records import Record
from morula.gateway.refs import from_json, row_ref
from morula.v1.artifact_pb2 import ObjectRef, SettledSlide
from morula.v1.clusterer_pb2 import Clustering

OF_PIXELS = ("plan", "tiles", "cells", "vectors", "morphology")
"""Stages whose artifacts are made from the slide, which then has to be there."""
THREAD_COUNT = 8

Check = Callable[[ObjectRef], object]


async def reopen(ledger: Transactions, store: Store, job_id: str, *, thoroughly: bool) -> bool:
    """Queue a job that succeeded once more if an artifact of it is missing or damaged; False if all are right.

    `thoroughly` reads all bytes; else an object counts as right if the store notes the right digest for it. Damaged
    objects are deleted before the job is queued. If several ask at once, one of them queues it.
    """
    job = await ledger.read(jobs.get_job, job_id)
    damaged = await _damaged(ledger, store, job, thoroughly=thoroughly)
    if not damaged:
        return False
    if any(ref.key.split("/")[2] in OF_PIXELS for ref in damaged):
        await _check_slide(ledger, store, job)
    burial = Burial(ledger, store)
    for ref in damaged:
        log.warning("artifact is made again", job_id=job_id, key=ref.key)
        await burial.drop_damaged(ref.key, ref.sha256)
    await ledger.write(_queue, job_id, job["attempt"])
    return True


def _queue(tx: Connection, job_id: str, attempt: int) -> None:
    """Queue the job if it is still in this attempt."""
    row = jobs.get_job(tx, job_id, lock=True)
    if (row["state"], row["attempt"]) == ("succeeded", attempt):
        jobs.retry_job(tx, job_id, ("succeeded",))


async def _damaged(ledger: Transactions, store: Store, job: Record, *, thoroughly: bool) -> list[ObjectRef]:
    left = [row_ref(file) for file in await ledger.read(jobs.job_files, job["id"])]
    if job["clustering_id"] is not None:
        row = await ledger.read(clusterings.get_clustering, job["clustering_id"])
        clustering = from_json(row["artifacts"], Clustering)
        left += [getattr(clustering, name) for name in CLUSTERING_ARTIFACTS]
    if job["settled"] is not None:
        settled = from_json(job["settled"], SettledSlide)
        left += [settled.index, settled.outlines]
        try:
            shards = await asyncio.to_thread(shards_of, store, settled)
        except (ArtifactMissing, ArtifactChanged):
            left.append(settled.shard_list)
        else:
            left += [ref for shard in shards for ref in (shard.cells, shard.vectors, shard.morphology)]
    # Jobs of early versions have no rows of what was made; they have only what was read above.
    named = {ref.key for ref in left}
    left += [row_ref(row) for row in await ledger.read(artifacts.made_by, job["id"]) if row["key"] not in named]
    return await asyncio.to_thread(_those_damaged, left, _verifying(store) if thoroughly else _glancing(store))


async def _check_slide(ledger: Transactions, store: Store, job: Mapping[str, Any]) -> None:
    for file in await ledger.read(slides.slide_files, job["slide_id"]):
        try:
            await asyncio.to_thread(store.verify, file["key"], file["sha256"])
        except (ArtifactMissing, ArtifactChanged) as error:
            raise Gone(
                "The slide itself is missing or damaged, too: upload it again first.", key=file["key"]
            ) from error


def _those_damaged(left: Sequence[ObjectRef], check: Check) -> list[ObjectRef]:
    def is_damaged(ref: ObjectRef) -> bool:
        try:
            check(ref)
        except (ArtifactMissing, ArtifactChanged):
            return True
        return False

    with ThreadPoolExecutor(THREAD_COUNT, thread_name_prefix="results") as threads:
        return [ref for ref, damaged in zip(left, threads.map(is_damaged, left), strict=True) if damaged]


def _verifying(store: Store) -> Check:
    return lambda ref: store.verify(ref.key, ref.sha256)


def _glancing(store: Store) -> Check:
    def glance(ref: ObjectRef) -> None:
        stored = store.stat(ref.key)
        if stored is None:
            raise ArtifactMissing(f"{ref.key} is not in the store", key=ref.key)
        check_sha256(ref.key, stored.sha256, ref.sha256)

    return glance
