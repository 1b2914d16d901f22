"""A cell without a vector does not fail its job: it stays, and is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from morula.common.compute import Checkpoint, Slot
from morula.common.models import find
from morula.common.testing import write_slide
from morula.embedder.instances import RegionCells, Vectors
from morula.embedder.named import NamedColumns
from morula.embedder.servicer import EmbedderServicer
from tests.contract.rest_world import page_body
from tests.servers.gateway import Client, gateway, services

LOST = 3


def some_are_lost(cells: RegionCells, checkpoint: Checkpoint, /) -> Vectors:
    vectors = NamedColumns(find("morphology", "embedder").columns)(cells, checkpoint).astype(np.float32)
    vectors[:LOST] = np.inf
    return vectors


async def label_those_in_no_cluster(client: Client, job: dict[str, Any]) -> None:
    labelling = f"/v1/labellings/{job['labelling_id']}"
    found = client.ok(await client.http.get(f"/v1/clusterings/{job['clustering_id']}/clusters"))
    told = found["noise"]
    assert told["cell_count"] == job["cell_count"] - sum(one["cell_count"] for one in found["clusters"])
    assert told["cell_count"] >= job["unembedded_cell_count"]
    shown = {cell["row"]: cell["near_node_id"] for cell in told["representatives"]}
    assert list(shown.values()).count(None) == job["unembedded_cell_count"], "nothing is known of them"
    page = client.ok(await client.http.get(f"{labelling}/page?noise=true"))
    assert {cell["row"] for cell in page["cells"]} == shown.keys()
    assert (page["place"]["node_id"], page["place"]["cell_count"]) == (0, told["cell_count"])
    said = {"kind": "page_named", "body": page_body(page, 1)}
    state = client.ok(await client.http.post(f"{labelling}/events", json=said))
    assert state["mark_count"] == len(page["cells"])
    again = client.ok(await client.http.get(f"{labelling}/pages/{state['seq']}"))
    assert [cell["row"] for cell in again["cells"]] == [cell["row"] for cell in page["cells"]]
    assert (await client.http.get(f"{labelling}/page?noise=true")).status_code == 204
    assert (await client.http.get(f"{labelling}/page")).status_code == 200
    assert (await client.http.get(f"{labelling}/page?noise=true&node_id=1")).status_code == 400


async def test_a_job_goes_on_without_them_and_tells_how_many(tmp_path: Path) -> None:
    path = tmp_path / "small.tiff"
    write_slide(path, 1200, 700)
    async with services(tmp_path, without=("embedder",)) as served:
        await served.start("embedder", EmbedderServicer(served.store, Slot("embedder"), {"morphology": some_are_lost}))
        async with gateway(served, tmp_path) as client:
            taken = await client.upload(path)
            job = await client.run(taken["id"])
            await label_those_in_no_cluster(client, job)
    assert job["state"] == "succeeded", job["error"]
    assert 0 < job["unembedded_cell_count"] <= LOST * 2
    assert job["cell_count"] > 10 * LOST
