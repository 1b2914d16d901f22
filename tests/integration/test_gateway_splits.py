"""A person splits a cluster: another clustering of the same cells in which nothing else changed, with their labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from morula.common.testing import write_slide
from morula.gateway.ledger import clusterings
from morula.gateway.refs import from_json
from morula.v1.clusterer_pb2 import Clustering
from tests.contract.rest_world import flip, page_body
from tests.servers.gateway import Client, gateway, place_of, services

PLACES = ["SQLite and a folder", "PostgreSQL and S3"]


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    write_slide(tmp_path / "tiny.tiff", 700, 600)
    return tmp_path / "tiny.tiff"


async def shown(client: Client, clustering_id: str, count: int) -> dict[int, int]:
    """Size of each cluster of a cut."""
    found = client.ok(await client.http.get(f"/v1/clusterings/{clustering_id}/clusters?count={count}"))
    return {one["node_id"]: one["cell_count"] for one in found["clusters"]}


async def leaves(client: Client, clustering_id: str) -> list[int]:
    raw = (await client.http.get(f"/v1/clusterings/{clustering_id}/layers/leaf")).content
    return [int(leaf) for leaf in np.frombuffer(raw, "<u2")]


async def say(client: Client, labelling_id: str, kind: str, body: dict[str, Any]) -> dict[str, Any]:
    return client.ok(await client.http.post(f"/v1/labellings/{labelling_id}/events", json={"kind": kind, "body": body}))


async def label(client: Client, labelling_id: str, names: dict[int, int]) -> dict[str, Any]:
    """Names a page, a cell and these clusters."""
    page = client.ok(await client.http.get(f"/v1/labellings/{labelling_id}/page"))
    await say(client, labelling_id, "page_named", page_body(page, 2, odd=1))
    state = await say(client, labelling_id, "cell_set", {"row": 3, "class_number": 3})
    for node_id, class_number in names.items():
        state = await say(client, labelling_id, "cluster_named", {"node_id": node_id, "class_number": class_number})
    return state


async def split(client: Client, seen: dict[str, Any], node_id: int, **asked: object) -> dict[str, Any]:
    """The job that split a cluster of what was `seen`, once it has ended."""
    body = {"node_id": node_id, "labelling_id": seen["labelling_id"], **asked}
    job = client.ok(await client.http.post(f"/v1/clusterings/{seen['clustering_id']}/splits", json=body))
    return await client.ended(job["id"])


@pytest.mark.parametrize("place", PLACES)
async def test_any_cluster_falls_into_parts_and_all_else_stays(
    place: str, slide: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url, store = place_of(place, request)
    async with services(tmp_path, store=store) as running, gateway(running, tmp_path, url) as client:
        before = await client.run((await client.upload(slide))["id"])
        clusters = await shown(client, before["clustering_id"], 3)
        merged = max(clusters, key=lambda node: clusters[node])
        client.ok(await client.http.put(f"/v1/labellings/{before['labelling_id']}/cut", json={"cluster_count": 3}))
        said = await label(client, before["labelling_id"], {node: 4 for node in clusters if node != merged})

        first = await split(client, before, merged)
        assert (first["state"], first["kind"], first["error"]) == ("succeeded", "split", None)
        told = client.ok(await client.http.get(f"/v1/clusterings/{first['clustering_id']}"))["split"]
        assert (told["clustering_id"], told["node_id"], len(told["part_ids"])) == (before["clustering_id"], merged, 2)
        state = client.ok(await client.http.get(f"/v1/labellings/{first['labelling_id']}"))
        for same in ("seq", "marks", "odd", "page_count", "mark_count", "label_set"):
            assert state[same] == said[same], same
        assert {one["node_id"] for one in state["cluster_names"] if one["explicit"]} == set(clusters) - {merged}
        assert state["moved"]["from_labelling_id"] == before["labelling_id"]
        assert state["moved"]["dropped_name_count"] == state["moved"]["dropped_cell_count"] == 0
        parts = await shown(client, first["clustering_id"], state["cluster_count"])
        assert parts.keys() == (clusters.keys() - {merged}) | set(told["part_ids"])
        assert sum(parts[node] for node in told["part_ids"]) == clusters[merged]
        assert await leaves(client, first["clustering_id"]) == await leaves(client, before["clustering_id"])

        # A leaf of what was split, by another number of parts.
        finest = await shown(client, first["clustering_id"], 4096)
        leaf = max(finest, key=lambda node: finest[node])
        second = await split(client, first, leaf, part_count=3)
        was, now = await leaves(client, first["clustering_id"]), await leaves(client, second["clustering_id"])
        number = {old for old, new in zip(was, now, strict=True) if old != new}
        assert len(number) == 1
        assert len({new for old, new in zip(was, now, strict=True) if old in number}) == 3
        for layer in ("layout", "confidence"):
            places = [f"/v1/clusterings/{job['clustering_id']}/layers/{layer}" for job in (before, second)]
            assert len({(await client.http.get(one)).content for one in places}) == 1
        assert (await split(client, first, leaf, part_count=3))["id"] == second["id"], "the same again is the same job"
        still = client.ok(await client.http.get(f"/v1/labellings/{before['labelling_id']}"))
        assert still.items() <= said.items(), "what was split stays as it was"

        # They are the slide's cells seen otherwise, and go with its job.
        assert (await client.http.delete(f"/v1/jobs/{first['id']}")).status_code == 204
        assert (await shown(client, second["clustering_id"], 4096)).keys() > finest.keys() - {leaf}
        assert (await client.http.delete(f"/v1/jobs/{before['id']}")).status_code == 204
        assert (await client.http.get(f"/v1/jobs/{second['id']}")).status_code == 404
        assert (await client.http.delete(f"/v1/slides/{before['slide_id']}")).status_code == 204


async def test_a_split_goes_on_after_the_gateway_died_and_makes_again_what_it_lost(slide: Path, tmp_path: Path) -> None:
    async with services(tmp_path) as running:
        async with gateway(running, tmp_path) as client:
            seen = await client.run((await client.upload(slide))["id"])
            said = await label(client, seen["labelling_id"], {})
            finest = await shown(client, seen["clustering_id"], 4096)
            leaf = max(finest, key=lambda node: finest[node])
            await running.stop("clusterer")
            body = {"node_id": leaf, "labelling_id": seen["labelling_id"]}
            job = client.ok(await client.http.post(f"/v1/clusterings/{seen['clustering_id']}/splits", json=body))
            assert job["state"] in ("queued", "running")
        async with gateway(running, tmp_path) as client:
            await running.start("clusterer")
            done = await client.ended(job["id"])
            assert (done["state"], done["error"]) == ("succeeded", None)
            state = client.ok(await client.http.get(f"/v1/labellings/{done['labelling_id']}"))
            assert state["marks"] == said["marks"]

            row = await client.ledger.read(clusterings.get_clustering, done["clustering_id"])
            made = from_json(row["artifacts"], Clustering)
            was = running.store.get(made.leaf.key, made.leaf.sha256)
            flip(tmp_path / "objects" / made.leaf.key)
            (tmp_path / "objects" / made.tree.key).unlink()
            again = await split(client, seen, leaf)
            assert (again["id"], again["state"], again["attempt"]) == (done["id"], "succeeded", 2)
            assert running.store.get(made.leaf.key, made.leaf.sha256) == was

            # What it shares with the clustering before is that one's job's to make again.
            flip(tmp_path / "objects" / made.features.key)
            lost = await split(client, seen, leaf)
            assert (lost["state"], lost["error"]["reason"]) == ("failed", "GONE")
            assert "retry that job first" in lost["error"]["detail"]
            for each in (seen, lost):
                client.ok(await client.http.post(f"/v1/jobs/{each['id']}/retry"))
                assert (await client.ended(each["id"]))["state"] == "succeeded"
            page = await client.http.get(f"/v1/labellings/{done['labelling_id']}/page")
            assert page.status_code == 200, page.text
