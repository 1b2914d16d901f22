"""The rest is grouped anew for a person who named some clusters: those stay as they are, and labels come along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from morula.common.formats import NOISE_LEAF
from morula.common.testing import write_slide
from morula.gateway.ledger import clusterings
from morula.gateway.refs import from_json
from morula.v1.clusterer_pb2 import Clustering
from tests.contract.rest_world import check_problem, flip, page_body
from tests.integration.test_gateway_splits import leaves, say, shown, split
from tests.servers.gateway import Client, gateway, place_of, services

PLACES = ["SQLite and a folder", "PostgreSQL and S3"]


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    write_slide(tmp_path / "tiny.tiff", 700, 600)
    return tmp_path / "tiny.tiff"


async def state_of(client: Client, labelling_id: str) -> dict[str, Any]:
    return client.ok(await client.http.get(f"/v1/labellings/{labelling_id}"))


async def label(client: Client, seen: dict[str, Any]) -> tuple[dict[str, Any], int, int]:
    """Names a page of several clusters, a cluster whole, and a page of another; sets a cell of a third, and puts off a
    page of a fourth: the state, the cluster named whole and that of the page."""
    labelling = seen["labelling_id"]
    client.ok(await client.http.put(f"/v1/labellings/{labelling}/cut", json={"cluster_count": 6}))
    first = client.ok(await client.http.get(f"/v1/labellings/{labelling}/page"))
    assert first["cluster_count"] > 1
    await say(client, labelling, "page_named", page_body(first, 3))
    whole, paged, *others = sorted(
        sizes := await shown(client, seen["clustering_id"], 6), key=lambda node: -sizes[node]
    )
    await say(client, labelling, "cluster_named", {"node_id": whole, "class_number": 1})
    page = client.ok(await client.http.get(f"/v1/labellings/{labelling}/page?node_id={paged}"))
    await say(client, labelling, "page_named", page_body(page, 2, odd=1))
    third = client.ok(await client.http.get(f"/v1/labellings/{labelling}/page?node_id={others[0]}"))
    await say(client, labelling, "cell_set", {"row": third["cells"][0]["row"], "class_number": 3})
    # Put off: nobody said what it is.
    away = client.ok(await client.http.get(f"/v1/labellings/{labelling}/page?node_id={others[1]}"))
    put_off = page_body(away, 2)
    cells = [{**cell, "class_number": None} for cell in put_off["cells"]]
    state = await say(client, labelling, "page_named", {**put_off, "class_number": None, "cells": cells})
    return state, whole, paged


async def regroup(client: Client, seen: dict[str, Any], **asked: object) -> dict[str, Any]:
    body = {"labelling_id": seen["labelling_id"], **asked}
    job = client.ok(await client.http.post(f"/v1/clusterings/{seen['clustering_id']}/regroupings", json=body))
    return await client.ended(job["id"])


@pytest.mark.parametrize("place", PLACES)
async def test_named_clusters_stay_and_the_rest_is_grouped_anew(
    place: str, slide: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url, store = place_of(place, request)
    async with services(tmp_path, store=store) as running, gateway(running, tmp_path, url) as client:
        before = await client.run((await client.upload(slide))["id"])
        said, whole, paged = await label(client, before)
        implied = {one["node_id"] for one in said["cluster_names"] if not one["explicit"]}
        assert set(said["locked_node_ids"]) == {whole, paged, *implied}
        assert len(said["locked_node_ids"]) < 6

        first = await regroup(client, before, cluster_count=3)
        assert (first["state"], first["kind"], first["error"]) == ("succeeded", "regrouping", None)
        made = client.ok(await client.http.get(f"/v1/clusterings/{first['clustering_id']}"))
        told = made["regrouping"]
        assert (told["clustering_id"], told["locked_ids"]) == (before["clustering_id"], said["locked_node_ids"])
        assert 1 <= len(told["cluster_ids"]) <= 3
        state = await state_of(client, first["labelling_id"])
        for same in ("seq", "marks", "odd", "page_count", "mark_count", "label_set", "locked_node_ids"):
            assert state[same] == said[same], same
        assert state["moved"]["dropped_name_count"] == state["moved"]["dropped_cell_count"] == 0
        assert whole in {one["node_id"] for one in state["cluster_names"] if one["explicit"]}
        assert state["cluster_count"] == made["cluster_count"] == len(told["locked_ids"] + told["cluster_ids"])
        sizes, was_sizes = (
            await shown(client, first["clustering_id"], 0),
            await shown(client, before["clustering_id"], 6),
        )
        assert sizes.keys() == {*told["locked_ids"], *told["cluster_ids"]}
        assert all(sizes[node] == was_sizes[node] for node in told["locked_ids"])
        assert sum(sizes.values()) + made["noise_count"] == before["cell_count"]
        page = client.ok(
            await client.http.get(f"/v1/labellings/{first['labelling_id']}/page?node_id={told['cluster_ids'][0]}")
        )
        assert page["place"]["node_id"] == told["cluster_ids"][0]
        layers = [f"/v1/clusterings/{job['clustering_id']}/layers/layout" for job in (before, first)]
        assert len({(await client.http.get(one)).content for one in layers}) == 1

        # A split of what was made, and the rest anew once more; the same again is the same job.
        parted = await split(client, first, told["cluster_ids"][0])
        assert parted["kind"] == "split"
        assert (await shown(client, parted["clustering_id"], 0)).keys() > {whole, paged}
        second = await regroup(client, parted)
        anew = client.ok(await client.http.get(f"/v1/clusterings/{second['clustering_id']}"))["regrouping"]
        assert anew["locked_ids"] == told["locked_ids"]
        assert min(anew["cluster_ids"]) > max(await shown(client, parted["clustering_id"], 4096))
        again = await regroup(client, before, cluster_count=3)
        assert (again["id"], again["attempt"]) == (first["id"], 1)
        assert (await state_of(client, before["labelling_id"])).items() <= said.items(), "it stays as it was"

        # They are the slide's cells seen otherwise, and go with its job.
        assert (await client.http.delete(f"/v1/jobs/{first['id']}")).status_code == 204
        assert {whole, paged} < (await shown(client, second["clustering_id"], 0)).keys()
        assert (await client.http.delete(f"/v1/jobs/{before['id']}")).status_code == 204
        assert (await client.http.get(f"/v1/jobs/{second['id']}")).status_code == 404


async def test_it_goes_on_after_the_gateway_died_and_makes_again_what_it_lost(slide: Path, tmp_path: Path) -> None:
    async with services(tmp_path) as running:
        async with gateway(running, tmp_path) as client:
            seen = await client.run((await client.upload(slide))["id"])
            said, *_ = await label(client, seen)
            await running.stop("clusterer")
            body = {"labelling_id": seen["labelling_id"]}
            job = client.ok(await client.http.post(f"/v1/clusterings/{seen['clustering_id']}/regroupings", json=body))
            assert job["state"] in ("queued", "running")
        async with gateway(running, tmp_path) as client:
            await running.start("clusterer")
            done = await client.ended(job["id"])
            assert (done["state"], done["error"]) == ("succeeded", None)
            assert (await state_of(client, done["labelling_id"]))["marks"] == said["marks"]

            row = await client.ledger.read(clusterings.get_clustering, done["clustering_id"])
            made = from_json(row["artifacts"], Clustering)
            was = [running.store.get(ref.key, ref.sha256) for ref in (made.leaf, made.confidence)]
            flip(tmp_path / "objects" / made.leaf.key)
            for ref in (made.tree, made.confidence):
                (tmp_path / "objects" / ref.key).unlink()
            again = await regroup(client, seen)
            assert (again["id"], again["state"], again["attempt"]) == (done["id"], "succeeded", 2)
            assert [running.store.get(ref.key, ref.sha256) for ref in (made.leaf, made.confidence)] == was

            # Where all is named, only what is in no cluster is left to group.
            (root,) = await shown(client, done["clustering_id"], 1)
            await say(client, done["labelling_id"], "cluster_named", {"node_id": root, "class_number": 2})
            assert (await state_of(client, done["labelling_id"]))["locked_node_ids"] == [root]
            address = f"/v1/clusterings/{done['clustering_id']}/regroupings"
            asked = await client.http.post(address, json={"labelling_id": done["labelling_id"]})
            if NOISE_LEAF in await leaves(client, done["clustering_id"]):
                assert (await client.ended(client.ok(asked)["id"]))["state"] == "succeeded"
            else:
                check_problem(asked, 400, "FAILED_PRECONDITION")
