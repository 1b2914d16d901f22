"""The tiler where there is no disk space: it says so, leaves nothing half-written, and does it once there is some."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from morula.common import errors, formats
from morula.common.pixels import read_regions
from morula.common.store import Store, open_store
from morula.common.testing import running, write_slide
from morula.tiler.servicer import TilerServicer
from morula.v1 import tiler_pb2, tiler_pb2_grpc
from tests.contract.rest_world import check_problem
from tests.contract.test_tiler import Bench, bench, reference, refusal
from tests.servers.ceph import S3Server
from tests.servers.disks import filled, small_disk
from tests.servers.gateway import as_part, gateway, services

DISK_BYTES = 16 << 20
CACHE_BYTES = 64 << 10  # Less than any slide here.


async def cut_all(tiler: Bench, plan: tiler_pb2.PlanSlideResponse) -> int:
    """Cuts every shard, reads what was written back, and counts what was kept."""
    kept = 0
    for index in range(plan.shard_count):
        done = await tiler.stub.CutShard(tiler.cut_request(plan, index))
        tiles = formats.read_tiles(tiler.store.get(done.tiles.key, done.tiles.sha256))
        assert tiles["verdict"].to_pylist().count("kept") == done.kept_tile_count
        assert len(list(read_regions(tiler.store.get(done.pixels.key, done.pixels.sha256)))) > 0
        kept += done.kept_tile_count
    return kept


async def still_serves(tiler: Bench) -> bool:
    found = await tiler.stub.InspectSlide(tiler_pb2.InspectSlideRequest(slide=tiler.slide))
    view = tiler_pb2.RenderRegionRequest(slide=tiler.slide, width_px=256, height_px=256, downsample=2)
    return bool(found.width_px and (await tiler.stub.RenderRegion(view)).jpeg)


@pytest.mark.parametrize("left_bytes", [0, 24 << 10])
async def test_a_full_disk_of_the_store(tmp_path: Path, left_bytes: int) -> None:
    with small_disk(tmp_path / "disk", DISK_BYTES) as disk:
        async with bench(disk) as tiler:
            with filled(disk):
                failure = await refusal(tiler.plan())
                assert isinstance(failure, errors.StorageFull)
                assert "not enough disk space to write p/s/plan" in str(failure)
            plan = await tiler.plan()
            before = sorted(stored.key for stored in tiler.store.list("p/"))
            with filled(disk, left_bytes):
                failure = await refusal(tiler.stub.CutShard(tiler.cut_request(plan, 0)))
                assert isinstance(failure, errors.StorageFull)
                assert "not enough disk space to write p/s/pixels" in str(failure)
                assert sorted(stored.key for stored in tiler.store.list("p/")) == before
                assert not list((disk / "store" / ".morula" / "temporary").iterdir())
                assert await still_serves(tiler)
            assert await cut_all(tiler, plan) > 0


async def test_a_full_disk_of_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with small_disk(tmp_path / "scratch", DISK_BYTES) as scratch:
        monkeypatch.setattr(tempfile, "tempdir", str(scratch))
        async with bench(tmp_path) as tiler:
            plan = await tiler.plan()
            with filled(scratch):
                failure = await refusal(tiler.stub.CutShard(tiler.cut_request(plan, 0)))
                assert isinstance(failure, errors.StorageFull)
                assert "temporary files" in str(failure)
                assert not list(scratch.glob("morula-shard-*"))
                assert await still_serves(tiler)
            assert not [stored.key for stored in tiler.store.list("p/s/") if "/plan/" not in stored.key]
            assert await cut_all(tiler, plan) > 0
        assert not [path for path in scratch.iterdir() if path.name.startswith("morula")]


@asynccontextmanager
async def on_s3(folder: Path, server: S3Server, url: str, cache: Path) -> AsyncIterator[Bench]:
    keys = {"access_key": server.access_key, "secret_key": server.secret_key}
    store: Store = open_store(url, **keys, cache_dir=cache, cache_bytes=CACHE_BYTES)
    nuclei = write_slide(folder / "slide.tiff", 1100, 900)
    slide = reference([("slide.tiff", store.put("p/files/slide.tiff", folder / "slide.tiff"))])
    servicer = TilerServicer(store)
    try:
        async with running(servicer) as channel:
            yield Bench(tiler_pb2_grpc.TilerServiceStub(channel), store, folder, nuclei, slide)
    finally:
        servicer.close()


async def test_slides_of_a_bucket_larger_than_the_cache_are_held_only_while_they_are_open(
    tmp_path: Path, s3_server: S3Server, s3_url: str
) -> None:
    cache = tmp_path / "cache"
    async with on_s3(tmp_path, s3_server, s3_url, cache) as tiler:
        plan = await tiler.plan()
        kept = await cut_all(tiler, plan)
        for seed in range(5):  # One more than stay open.
            write_slide(tmp_path / f"{seed}.tiff", 700, 600, seed=seed + 1)
            other = reference([("other.tiff", tiler.store.put(f"p/files/{seed}.tiff", tmp_path / f"{seed}.tiff"))])
            assert (await tiler.stub.InspectSlide(tiler_pb2.InspectSlideRequest(slide=other))).width_px == 700
        held = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
        assert held <= sum((tmp_path / f"{seed}.tiff").stat().st_size for seed in range(1, 5))
        assert await still_serves(tiler)
        async with bench(tmp_path) as local:
            assert await cut_all(local, await local.plan()) == kept
    assert sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) <= CACHE_BYTES


async def test_a_cache_disk_too_small_for_a_slide_of_a_bucket(tmp_path: Path, s3_server: S3Server, s3_url: str) -> None:
    with small_disk(tmp_path / "cache", 4 << 20) as cache:
        async with on_s3(tmp_path, s3_server, s3_url, cache) as tiler:
            with filled(cache, 32 << 10):
                for _ in range(2):
                    failure = await refusal(tiler.plan())
                    assert isinstance(failure, errors.StorageFull)
                    assert "MORULA_CACHE_DIR" in str(failure)
                assert not [path for path in cache.rglob("*") if path.is_file() and path.name != ".filler"]
            assert await cut_all(tiler, await tiler.plan()) > 0


async def test_a_job_on_a_full_disk_fails_in_words_and_is_carried_on_with_once_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", DISK_BYTES) as disk:
        await fill_and_carry_on(disk, tmp_path)
        gc.collect()  # Files that the gateway showed are mapped.


async def fill_and_carry_on(disk: Path, root: Path) -> None:
    write_slide(root / "slide.tiff", 1100, 900)
    async with services(disk) as started, gateway(started, root) as client:
        with filled(disk):
            part = as_part(root / "slide.tiff")
            check_problem(await client.http.post("/v1/slides", files=part), 507, "STORAGE_FULL")
            ready = await client.http.get("/readyz")
            assert (ready.status_code, ready.json()["writable"]) == (503, {"scratch": True, "store": False})
        slide = await client.upload(root / "slide.tiff")
        with filled(disk):
            job = await client.run(slide["id"])
            assert (job["state"], job["error"]["reason"]) == ("failed", "STORAGE_FULL")
            assert "not enough disk space to write" in job["error"]["detail"]
            assert client.ok(await client.http.get(f"/v1/slides/{slide['id']}"))["width_px"] == 1100
        client.ok(await client.http.post(f"/v1/jobs/{job['id']}/retry"))
        done = await client.ended(job["id"])
        assert (done["state"], done["verdict"], done["error"]) == ("succeeded", "cells", None)
        assert done["cell_count"] > 100
