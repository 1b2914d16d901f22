"""What is longer than a tile comes out whole and once: regions whose halo cuts cells are cut again."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
from numpy.typing import NDArray

from morula.common.compute import Slot
from morula.common.testing import write_picture
from morula.gateway.ledger import shards
from morula.segmenter.instances import Instances, Wanted
from morula.segmenter.servicer import SegmenterServicer
from tests.servers.gateway import Client, Services, gateway, services
from tests.servers.jobs import classical

Place = tuple[int, int]
Ends = tuple[Place, Place]
Disc = tuple[Place, int]

THICK_PX = 16
GAP_PX = 24
DARK, PINK, NUCLEUS = (125, 70, 150), (231, 180, 215), (133, 92, 181)
# Regions begin at 2048 and 4096 px, the plan's shards are the first four regions and the strips beyond them.
FIBRES: dict[str, Ends] = {
    "half in each of two regions": ((1560, 700), (2540, 700)),
    "more in one than in the other, which never sees its end": ((1750, 1000), (2900, 1000)),
    "upright": ((1000, 1600), (1000, 2500)),
    "through the corner of four regions": ((1750, 1750), (2350, 2350)),
    "from one shard into the next": ((3700, 1500), (4380, 1500)),
    "within one region": ((2600, 2600), (3500, 2600)),
}
DISC = ((2148, 1350), 150)
# The second cut of the region that owns the head does not reach the tail's end.
TADPOLE = (((1300, 400), (2298, 400)), ((2298, 400), 130))
# No second halo shows either half of it whole.
ENDLESS: Ends = ((150, 3400), (3950, 3400))


def drawn_shapes() -> dict[str, shapely.Geometry]:
    tail, (head, radius) = TADPOLE
    shapes = {name: shapely.LineString(ends).buffer(THICK_PX / 2) for name, ends in FIBRES.items()}
    shapes["disc"] = shapely.Point(DISC[0]).buffer(DISC[1])
    shapes["tadpole"] = shapely.LineString(tail).buffer(THICK_PX / 2) | shapely.Point(head).buffer(radius)
    return shapes


def draw(width: int, height: int, lines: list[Ends], discs: list[Disc]) -> tuple[Any, list[Place]]:
    """Pink tissue with dark fibres and discs, nuclei between them; and where these lie."""
    picture = np.full((height, width, 3), PINK, np.uint8)
    for grow, colour in ((GAP_PX, (1, 1, 1)), (0, DARK)):
        for start, end in lines:
            cv2.line(picture, start, end, colour, THICK_PX + 2 * grow)
        for centre, radius in discs:
            cv2.circle(picture, centre, radius + grow, colour, -1)
    nuclei = []
    for y in range(30, height - 30, 64):
        for x in range(30, width - 30, 64):
            if (picture[y, x] == PINK).all():
                cv2.circle(picture, (x, y), 8, NUCLEUS, -1)
                nuclei.append((x, y))
    picture[(picture == 1).all(axis=2)] = PINK
    noise = np.random.default_rng(0).normal(0, 4, (height, width, 1)).astype(np.float32)
    return np.clip(picture + noise, 0, 255).astype(np.uint8), nuclei


def dark_objects(pixels: NDArray[np.uint8], _mpp: float, _wanted: Wanted, _checkpoint: object = None, /) -> Instances:
    """A model that sees the same wherever an image begins: dark pixels that hang together are a cell."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((pixels[..., 0] < 180).astype(np.uint8), connectivity=4)
    renumbered = np.zeros(count, np.int32)
    large = np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] >= 40) + 1
    renumbered[large] = np.arange(1, large.size + 1)
    return Instances(renumbered[labels], np.ones(large.size, np.float32))


class Segmenter(SegmenterServicer):
    """The real segmenter with that model; a call that it holds waits until it is let go."""

    def __init__(self, running: Services, held: int = -1) -> None:
        super().__init__(running.store, Slot("segmenter"), {"watershed": dark_objects})
        self.held, self.called = held, 0
        self.entered, self.go = asyncio.Event(), asyncio.Event()

    async def SegmentShard(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.called += 1
        if self.called == self.held:
            self.entered.set()
            await self.go.wait()
        return await super().SegmentShard(request, context)


async def table(client: Client, job: dict[str, Any], name: str) -> Any:
    response = await client.http.get(f"/v1/jobs/{job['id']}/files/{name}.parquet")
    assert response.status_code == 200, response.text
    return pq.read_table(io.BytesIO(response.content))


async def units(client: Client, job: dict[str, Any]) -> list[Any]:
    return await client.ledger.read(shards.list_shards, job["id"])


@pytest.mark.slow
async def test_each_fibre_is_whole_and_once_and_one_without_end_is_marked(tmp_path: Path) -> None:
    (tail, head), path = TADPOLE, tmp_path / "fibres.tiff"
    picture, nuclei = draw(4400, 4090, [*FIBRES.values(), tail, ENDLESS], [DISC, head])
    write_picture(path, picture)
    other = tmp_path / "other"
    other.mkdir()
    async with services(tmp_path, without=("segmenter",)) as running:
        await running.start("segmenter", Segmenter(running))
        async with gateway(running, tmp_path) as client:
            job = await client.run((await client.upload(path))["id"])
            assert (job["state"], job["error"]) == ("succeeded", None)
            cells, tiles = await table(client, job, "cells"), (await table(client, job, "tiles")).to_pylist()
            check_cells(cells, sum(is_kept(tiles, place) for place in nuclei))
            assert job["truncated_cell_count"] == cells["state"].to_pylist().count("truncated") == 1
            kept_count = sum(tile["verdict"] == "kept" for tile in tiles)
            assert job["kept_tile_count"] == kept_count > 64, "more than a shard, and none counted twice"
            for stage in ("cut", "segment", "embed"):
                done = [unit for unit in await units(client, job) if unit["stage"] == stage]
                assert [unit["number"] for unit in done] == [0, 1, 2, 3], "two shards, and what is cut again of each"
                assert all((unit["state"], unit["write_count"]) == ("done", 1) for unit in done)
            assert {stage["stage"]: stage["total_count"] for stage in job["stages"]}["segment"] == 4
            assert not list(running.store.list(f"default/{(await client.upload(path))['digest']}/pixels/"))
        async with gateway(running, other) as client:
            found = await client.run((await client.upload(path))["id"])
            made = [unit for unit in await units(client, found) if unit["stage"] != "tables"]
    assert found["result_digest"] == job["result_digest"]
    assert all((unit["write_count"], unit["attempt_count"]) == (0, 0) for unit in made)


def is_kept(tiles: list[dict[str, Any]], place: Place) -> bool:
    return any(
        tile["verdict"] == "kept"
        and 0 <= place[0] - tile["x_px"] < tile["width_px"]
        and 0 <= place[1] - tile["y_px"] < tile["height_px"]
        for tile in tiles
    )


def check_cells(cells: Any, nucleus_count: int) -> None:
    polygons = shapely.from_wkb(cells["geometry"].to_pylist())
    states = np.array(cells["state"].to_pylist())
    tree = shapely.STRtree(polygons)
    for name, shape in drawn_shapes().items():
        found = tree.query(shape, predicate="intersects")
        assert len(found) == 1, f"{name}: {len(found)} cells"
        assert states[found[0]] == "whole", name
        seen = polygons[found[0]]
        assert shapely.area(seen & shape) / shapely.area(seen | shape) > 0.9, name
    endless = tree.query(shapely.LineString(ENDLESS), predicate="intersects")
    assert states[endless].tolist() == ["truncated"]
    assert len(polygons) == nucleus_count + len(drawn_shapes()) + 1


def small_slide(folder: Path) -> Path:
    """Two regions and a fibre in both."""
    write_picture(folder / "small.tiff", draw(2700, 600, [((1600, 300), (2500, 300))], [])[0])
    return folder / "small.tiff"


async def check_small(client: Client, job: dict[str, Any], *, cut_again: int = 0) -> None:
    assert (job["state"], job["truncated_cell_count"]) == ("succeeded", 0)
    done = [unit for unit in await units(client, job) if unit["stage"] in ("cut", "segment", "embed")]
    assert len(done) == 6
    assert 6 <= sum(unit["write_count"] for unit in done) <= 6 + cut_again, "what exists is not made again"
    polygons = shapely.from_wkb((await table(client, job, "cells"))["geometry"].to_pylist())
    assert sum(shapely.area(polygons) > 900 * THICK_PX * 0.9) == 1


async def test_a_conductor_that_goes_away_in_a_second_cut_carries_on(tmp_path: Path) -> None:
    async with services(tmp_path, without=("segmenter",)) as running:
        segmenter = Segmenter(running, held=2)
        await running.start("segmenter", segmenter)
        async with gateway(running, tmp_path) as client:
            taken = await client.upload(small_slide(tmp_path))
            job = client.ok(await client.http.post("/v1/jobs", json=classical(taken["id"])))
            await asyncio.wait_for(segmenter.entered.wait(), 60)
        segmenter.go.set()
        async with gateway(running, tmp_path) as client:
            await check_small(client, await client.ended(job["id"]))
    assert segmenter.called == 3, "the first cut once, the second one again"


async def test_a_job_cancelled_in_a_second_cut_carries_on_when_retried(tmp_path: Path) -> None:
    async with services(tmp_path, without=("segmenter",)) as running, gateway(running, tmp_path) as client:
        segmenter = Segmenter(running, held=2)
        await running.start("segmenter", segmenter)
        taken = await client.upload(small_slide(tmp_path))
        job = client.ok(await client.http.post("/v1/jobs", json=classical(taken["id"])))
        await asyncio.wait_for(segmenter.entered.wait(), 60)
        running_job = await client.job(job["id"])
        assert {stage["stage"]: stage["total_count"] for stage in running_job["stages"]}["segment"] == 2
        client.ok(await client.http.post(f"/v1/jobs/{job['id']}/cancel"))
        assert (await client.ended(job["id"]))["state"] == "cancelled"
        client.ok(await client.http.post(f"/v1/jobs/{job['id']}/retry"))
        # Its pixels go with the cancelled job, unless the retry was there first.
        await check_small(client, await client.ended(job["id"]), cut_again=1)
    assert segmenter.called == 3
