"""The cells of another slide get the clusters and the labels of a clustering that people labelled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from morula.common.testing import write_slide
from tests.contract.rest_world import check_problem, page_body
from tests.integration.test_gateway_splits import leaves, say, shown
from tests.servers.gateway import gateway, place_of, services

PLACES = ["SQLite and a folder", "PostgreSQL and S3"]


@pytest.mark.parametrize("place", PLACES)
async def test_another_slide_gets_clusters_and_labels(
    place: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url, store = place_of(place, request)
    for name, seed in (("first", 1), ("second", 2)):
        write_slide(tmp_path / f"{name}.tiff", 700, 600, seed=seed)
    async with services(tmp_path, store=store) as running, gateway(running, tmp_path, url) as client:
        first, second = [
            await client.run((await client.upload(tmp_path / f"{name}.tiff"))["id"]) for name in ("first", "second")
        ]
        labelling, clustering = first["labelling_id"], f"/v1/clusterings/{first['clustering_id']}"
        client.ok(await client.http.put(f"/v1/labellings/{labelling}/cut", json={"cluster_count": 4}))
        for number in (1, 2, 1, 2):
            page = client.ok(await client.http.get(f"/v1/labellings/{labelling}/page"))
            await say(client, labelling, "page_named", page_body(page, number))
        named = max(await shown(client, first["clustering_id"], 4))
        said = await say(client, labelling, "cluster_named", {"node_id": named, "class_number": 3})

        asked = {"job_id": second["id"], "labelling_id": labelling}
        made = client.ok(await client.http.post(f"{clustering}/additions", json=asked))
        both = await client.ended(made["id"])
        assert (both["state"], both["kind"], both["error"]) == ("succeeded", "addition", None)
        assert both["cell_count"] == first["cell_count"] + second["cell_count"]
        told = client.ok(await client.http.get(f"/v1/clusterings/{both['clustering_id']}"))
        assert [slide["slide_id"] for slide in told["slides"]] == [first["slide_id"], second["slide_id"]]
        was, now = await leaves(client, first["clustering_id"]), await leaves(client, both["clustering_id"])
        assert now[: len(was)] == was
        new = np.array(now[len(was) :])
        assert told["noise_count"] == now.count(65535)
        assert np.mean(new != 65535) > 0.5, "it is the same tissue"

        state = client.ok(await client.http.get(f"/v1/labellings/{both['labelling_id']}"))
        for same in ("seq", "marks", "label_set", "cluster_count"):
            assert state[same] == said[same], same
        assert state["moved"]["dropped_name_count"] == 0
        assert (state["learned_seq"], state["held_out"]) == (state["seq"], None), "nobody saw cells of the other slide"
        assert named in {one["node_id"] for one in state["cluster_names"] if one["explicit"]}
        assert state["unlabelled_count"] < said["unlabelled_count"] + second["cell_count"], "labels reach the new cells"
        sizes = await shown(client, both["clustering_id"], 4)
        assert sizes.keys() == (await shown(client, first["clustering_id"], 4)).keys()
        assert sum(sizes.values()) + told["noise_count"] == both["cell_count"]
        offered = client.ok(await client.http.get(f"/v1/slides/{second['slide_id']}"))["labellings"]
        assert both["labelling_id"] in {one["id"] for one in offered}
        again = client.ok(await client.http.post(f"{clustering}/additions", json=asked))
        assert (again["id"], again["attempt"]) == (both["id"], 1)

        twice = {"job_id": second["id"]}
        there = await client.http.post(f"/v1/clusterings/{both['clustering_id']}/additions", json=twice)
        check_problem(there, 400, "INVALID_ARGUMENT")
        check_problem(
            await client.http.post(f"{clustering}/additions", json={"job_id": both["id"]}), 400, "FAILED_PRECONDITION"
        )
        refused = await client.http.delete(f"/v1/slides/{second['slide_id']}")
        assert both["id"] in check_problem(refused, 409, "IN_USE")["detail"]
        assert (await client.http.delete(f"/v1/jobs/{both['id']}")).status_code == 204
        assert (await client.http.delete(f"/v1/slides/{second['slide_id']}")).status_code == 204
