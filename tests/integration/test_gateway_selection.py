"""Jobs on some of a slide's tiles: drawn regions, a sample, a grid with another corner; through the real services."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import pytest_asyncio
from numpy.typing import NDArray

from morula.common.testing import write_slide
from tests.servers.gateway import Client, gateway, services
from tests.servers.jobs import classical

pytestmark = pytest.mark.asyncio(loop_scope="module")

WIDTH_PX, HEIGHT_PX, TILE_PX = 2600, 2100, 512
LEFT = {"type": "Polygon", "coordinates": [[[0, 0], [1500, 0], [1500, 2100], [0, 2100], [0, 0]]]}
TOP = {"type": "Polygon", "coordinates": [[[0, 0], [2600, 0], [2600, 900], [0, 900], [0, 0]]]}


@dataclass(frozen=True)
class World:
    client: Client
    slide: dict[str, Any]
    whole: dict[str, Any]
    """The job on all of the slide."""

    async def file(self, job: dict[str, Any], name: str) -> bytes:
        response = await self.client.http.get(f"/v1/jobs/{job['id']}/files/{name}")
        assert response.status_code == 200, response.text
        return response.content

    async def table(self, job: dict[str, Any], name: str) -> pa.Table:
        return pq.read_table(io.BytesIO(await self.file(job, name)))

    async def run(self, **params: object) -> dict[str, Any]:
        job = await self.client.run(self.slide["id"], **params)
        assert (job["state"], job["error"]) == ("succeeded", None)
        return job


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    root: Path = tmp_path_factory.mktemp("selection")
    write_slide(root / "slide.tiff", WIDTH_PX, HEIGHT_PX)
    async with services(root) as running, gateway(running, root) as client:
        slide = await client.upload(root / "slide.tiff")
        yield World(client, slide, await client.run(slide["id"]))


def kept(tiles: pa.Table) -> set[tuple[int, int]]:
    """Corners of the tiles that are kept."""
    rows = zip(*(tiles[name].to_pylist() for name in ("x_px", "y_px", "verdict")), strict=True)
    return {(x, y) for x, y, verdict in rows if verdict == "kept"}


def cells(table: pa.Table) -> NDArray[np.float64]:
    """Their centroids."""
    return np.stack([table[name].to_numpy() for name in ("x_px", "y_px")], axis=1)


async def test_regions_leave_out_tiles_and_change_no_cell_of_the_others(world: World) -> None:
    job = await world.run(include=LEFT, exclude=TOP)
    everywhere = kept(await world.table(world.whole, "tiles.parquet"))
    tiles = await world.table(job, "tiles.parquet")
    wanted = {(x, y) for x, y in everywhere if x + TILE_PX / 2 < 1500 and y + TILE_PX / 2 > 900}
    assert kept(tiles) == wanted
    assert 0 < len(wanted) < len(everywhere)
    assert tiles["verdict"].to_pylist().count("excluded") > 0

    some = cells(await world.table(job, "cells.parquet"))
    inner = [
        place
        for place in cells(await world.table(world.whole, "cells.parquet")).tolist()
        if tuple(int(at) // TILE_PX * TILE_PX for at in place) in wanted
    ]
    assert len(some) == len(inner) == job["cell_count"] > 100
    apart = np.linalg.norm(some[:, None] - np.array(inner)[None], axis=2).min(axis=1)
    assert apart.max() < 0.1, "the halo reaches into tiles that were left out"


async def test_the_same_regions_are_the_same_job_and_stand_in_its_manifest(world: World) -> None:
    job = await world.run(include=LEFT, exclude=TOP)
    features = [{"type": "Feature", "id": "n", "properties": {"name": "tumour"}, "geometry": LEFT}]
    include = {"type": "FeatureCollection", "features": features}
    exclude = {"type": "MultiPolygon", "coordinates": [TOP["coordinates"]]}
    body = classical(world.slide["id"], include=include, exclude=exclude)
    again = await world.client.http.post("/v1/jobs", json=body)
    assert (again.status_code, again.json()["id"]) == (200, job["id"])
    params = json.loads(await world.file(job, "manifest.json"))["params"]
    assert json.loads(params["include_geojson"])["coordinates"] == [LEFT["coordinates"]]
    assert json.loads(params["exclude_geojson"])["coordinates"] == [TOP["coordinates"]]
    assert params == job["params"]


@pytest.mark.parametrize("preset", ["default", "paper-tiles"])
async def test_a_sample_gives_so_many_kept_tiles(world: World, preset: str) -> None:
    job = await world.run(sample_tile_count=5, preset=preset)
    tiles = await world.table(job, "tiles.parquet")
    drawn = kept(tiles)
    assert len(drawn) == job["kept_tile_count"] == 5
    assert tiles["verdict"].to_pylist().count("unsampled") > 0
    assert np.ptp(np.array(sorted(drawn)), axis=0).min() >= 2 * TILE_PX, "spread over the slide"


async def test_a_grid_may_begin_anywhere_and_have_another_scale(world: World) -> None:
    job = await world.run(origin_x_px=-100, origin_y_px=37, mpp=1.0)
    tiles = await world.table(job, "tiles.parquet")
    edges = {(x, y) for x, y in zip(tiles["x_px"].to_pylist(), tiles["y_px"].to_pylist(), strict=True) if x and y}
    assert edges
    assert all((x + 100) % (2 * TILE_PX) == 0 and (y - 37) % (2 * TILE_PX) == 0 for x, y in edges)
    whole = cells(await world.table(world.whole, "cells.parquet"))
    assert job["cell_count"] > 0.8 * len(whole), "nearly all nuclei are found at half the scale, too"
    assert job["params"]["mpp"] == 1.0


async def test_regions_beside_the_tissue_end_well_and_say_so(world: World) -> None:
    corner = {"type": "Polygon", "coordinates": [[[-900, -900], [-500, -900], [-500, -500], [-900, -900]]]}
    job = await world.run(include=corner)
    assert (job["verdict"], job["kept_tile_count"]) == ("no_tissue", 0)
    assert set((await world.table(job, "tiles.parquet"))["verdict"].to_pylist()) == {"excluded"}


async def test_cells_beside_kept_tiles_and_a_least_size_can_be_asked_for(world: World) -> None:
    chosen: list[dict[str, Any]] = [{}, {"keep_rejected": True}, {"min_area_um2": 60.0}]
    jobs = [await world.run(sample_tile_count=2, **more) for more in chosen]
    plain, beside, large = [await world.table(job, "cells.parquet") for job in jobs]
    assert beside.num_rows > plain.num_rows > large.num_rows > 0
    assert {*plain["cell_id"].to_pylist()} < {*beside["cell_id"].to_pylist()}
    assert min(large["area_um2"].to_pylist()) >= 60 > min(plain["area_um2"].to_pylist())
    assert [{name: job["params"].get(name) for name in more} for job, more in zip(jobs, chosen, strict=True)] == chosen
