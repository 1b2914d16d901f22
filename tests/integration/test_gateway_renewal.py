"""What an older version of Morula published is carried on with: the same cells and clusters, written down otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, update

from morula.common.formats import CLUSTERING_ARTIFACTS
from morula.common.refs import ref_of
from morula.common.shard_lists import shards_of
from morula.common.store import Store
from morula.common.testing import write_slide
from morula.gateway.ledger import clusterings, jobs
from morula.gateway.ledger.tables import clustering, clustering_slide, job
from morula.gateway.refs import from_json, to_json
from morula.v1.artifact_pb2 import ObjectRef, SettledSlide
from morula.v1.clusterer_pb2 import Clustering
from tests.servers.gateway import gateway, services


def moved(store: Store, ref: ObjectRef) -> ObjectRef:
    """The same bytes under another key, as of another revision."""
    folder, _, name = ref.key.rpartition("/")
    other = ref_of(store.put(f"{folder}/{'0' * 12}{name[12:]}", store.get(ref.key)))
    store.delete(ref.key)
    return other


def as_before(store: Store, tx: Connection, job_id: str, state: str) -> None:
    """Write a job down as the version did that named a slide's shards in its row, and had other keys."""
    row = jobs.get_job(tx, job_id)
    settled = from_json(row["settled"], SettledSlide)
    settled.shards.extend(shards_of(store, settled))
    store.delete(settled.shard_list.key)
    settled.ClearField("shard_list")
    settled.ClearField("vectors_digest")
    settled.outlines.CopyFrom(moved(store, settled.outlines))
    artifacts = from_json(clusterings.get_clustering(tx, row["clustering_id"])["artifacts"], Clustering)
    for name in CLUSTERING_ARTIFACTS:
        getattr(artifacts, name).CopyFrom(moved(store, getattr(artifacts, name)))
    tx.execute(update(job).values(settled=to_json(settled), state=state, finished_at=None))
    tx.execute(update(clustering).values(artifacts=to_json(artifacts)))
    tx.execute(update(clustering_slide).values(settled=to_json(settled)))


@pytest.mark.parametrize("state", ["succeeded", "running"])
async def test_a_job_of_an_older_version_is_tried_again_or_taken_up_after_it_published(
    state: str, tmp_path: Path
) -> None:
    write_slide(tmp_path / "tiny.tiff", 700, 600)
    async with services(tmp_path) as running:
        async with gateway(running, tmp_path) as client:
            first = await client.run((await client.upload(tmp_path / "tiny.tiff"))["id"])
            await client.ledger.write(lambda tx: as_before(running.store, tx, first["id"], state))
        for one in [one for one in running.store.list("default/") if "/table/" in one.key]:
            running.store.delete(one.key)
        async with gateway(running, tmp_path) as client:
            block = f"/v1/clusterings/{first['clustering_id']}/blocks/0"
            seen = await client.http.get(block)
            assert seen.status_code == 200, seen.text
            if state == "succeeded":
                client.ok(await client.http.post(f"/v1/jobs/{first['id']}/retry"))
            again: dict[str, Any] = await client.ended(first["id"])
            assert (again["state"], again["error"]) == ("succeeded", None)
            same = ("result_digest", "clustering_id", "labelling_id")
            assert [again[name] for name in same] == [first[name] for name in same]
            row = await client.ledger.read(jobs.get_job, first["id"])
            (slide,) = await client.ledger.read(clusterings.clustering_slides, first["clustering_id"])
            assert slide["settled"] == row["settled"]
            assert from_json(slide["settled"], SettledSlide).HasField("shard_list")
            # What only the older version wrote may go: nobody names it any more.
            for one in [one for one in running.store.list("default/") if f"/{'0' * 12}" in one.key]:
                running.store.delete(one.key)
            assert (await client.http.get(block)).content == seen.content
            assert (await client.http.get(f"/v1/clusterings/{first['clustering_id']}/layers/leaf")).status_code == 200
