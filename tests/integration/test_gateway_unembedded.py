"""A cell without a vector does not fail its job: it stays, and is counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from morula.common.compute import Checkpoint, Slot
from morula.common.models import find
from morula.common.testing import write_slide
from morula.embedder.instances import RegionCells, Vectors
from morula.embedder.named import NamedColumns
from morula.embedder.servicer import EmbedderServicer
from tests.servers.gateway import gateway, services

LOST = 3


def some_are_lost(cells: RegionCells, checkpoint: Checkpoint, /) -> Vectors:
    vectors = NamedColumns(find("morphology", "embedder").columns)(cells, checkpoint).astype(np.float32)
    vectors[:LOST] = np.inf
    return vectors


async def test_a_job_goes_on_without_them_and_tells_how_many(tmp_path: Path) -> None:
    path = tmp_path / "small.tiff"
    write_slide(path, 1200, 700)
    async with services(tmp_path, without=("embedder",)) as served:
        await served.start("embedder", EmbedderServicer(served.store, Slot("embedder"), {"morphology": some_are_lost}))
        async with gateway(served, tmp_path) as client:
            taken = await client.upload(path)
            job = await client.run(taken["id"])
    assert job["state"] == "succeeded", job["error"]
    assert 0 < job["unembedded_cell_count"] <= LOST * 2
    assert job["cell_count"] > 10 * LOST
