"""Files that are no slides, or hardly: each ends in an answer, none in a crash or a wait."""

import asyncio
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from morula.common import errors, formats
from morula.common.pixels import read_regions
from morula.common.testing import write_slide
from morula.tiler.cutting import Plan, cut_shard
from morula.tiler.planning import GridRequest, plan_slide
from morula.tiler.readers import open_slide
from morula.tiler.selection import Selection
from morula.tiler.servicer import SLIDE_RENDER_ADMIT
from morula.v1 import tiler_pb2
from tests.contract.test_tiler import Bench, bench, decode, reference, refusal
from tests.fixtures.hostile import endless

HUGE_PX = 200_000


def tiff_header(first_directory: int) -> bytes:
    return b"II*\0" + struct.pack("<I", first_directory)


def pointing_past_the_end(folder: Path) -> bytes:
    """A good slide, of whose tiles the last are said to lie behind its end."""
    write_slide(folder / "good.tiff", 600, 600)
    with tifffile.TiffFile(folder / "good.tiff") as tiff:
        tag = tiff.pages.first.tags["TileOffsets"]
        place, count = tag.valueoffset, tag.count
    content = bytearray((folder / "good.tiff").read_bytes())
    for index in range(count):
        content[place + 4 * index : place + 4 * index + 4] = struct.pack("<I", 0x7FFF0000 + index)
    return bytes(content)


async def test_what_is_no_slide_is_refused_in_a_line(tmp_path: Path) -> None:
    async with bench(tmp_path) as tiler:
        hostile = {
            "empty.svs": b"",
            "text.svs": b"This is no slide.\n" * 40,
            "directory.tiff": tiff_header(0x7FFFFFF0),
            "loop.tiff": tiff_header(8) + struct.pack("<HHHIII", 1, 256, 3, 1, 64, 8),
            "tiles.tiff": pointing_past_the_end(tmp_path),
            "cut.jpg": bytes(imagecodecs.jpeg8_encode(np.zeros((64, 64, 3), np.uint8)))[:90],
        }
        for name, content in hostile.items():
            (tmp_path / name).write_bytes(content)
            slide = tiler.shelve(tmp_path / name)
            failure = await refusal(tiler.stub.InspectSlide(tiler_pb2.InspectSlideRequest(slide=slide)))
            assert isinstance(failure, errors.SlideUnreadable), (name, failure)
            assert "\n" not in str(failure)
            assert name in str(failure), name


@pytest.mark.parametrize("name", ["one.png", "one.tiff"])
async def test_a_slide_of_one_pixel_is_planned(tmp_path: Path, name: str) -> None:
    async with bench(tmp_path) as tiler:
        pixel = np.full((1, 1, 3), 130, np.uint8)
        if name.endswith("png"):
            (tmp_path / name).write_bytes(imagecodecs.png_encode(pixel))
        else:
            tifffile.imwrite(tmp_path / name, pixel, photometric="rgb")
        slide = tiler.shelve(tmp_path / name, mpp=0.5)
        plan = await tiler.plan("one", slide=slide)
        assert plan.tile_count == 1
        for index in range(plan.shard_count):
            shard = await tiler.stub.CutShard(tiler.cut_request(plan, index, "one", slide=slide))
            assert shard.failed_tile_count == 0


def nothing(count: int) -> Iterator[bytes]:
    """A sparse file's tiles; the first is there, so that the file is a slide at all."""
    yield bytes(imagecodecs.jpeg8_encode(np.full((512, 512, 3), 255, np.uint8)))
    for _ in range(count - 1):
        yield b""


async def test_a_huge_blank_slide_is_found_empty(tmp_path: Path) -> None:
    across = -(-HUGE_PX // 512)
    tifffile.imwrite(
        tmp_path / "huge.tiff",
        nothing(across * across),
        shape=(HUGE_PX, HUGE_PX, 3),
        dtype=np.uint8,
        tile=(512, 512),
        photometric="ycbcr",
        compression="jpeg",
        bigtiff=True,
        metadata=None,
    )
    async with bench(tmp_path) as tiler:
        slide = tiler.shelve(tmp_path / "huge.tiff", mpp=0.5)
        plan = await tiler.plan("huge", slide=slide)
        assert plan.tile_count == (-(-HUGE_PX // 256)) ** 2
        assert (plan.candidate_tile_count, plan.shard_count) == (0, 0)


def test_a_file_that_is_truncated_while_it_is_read_costs_its_tiles(tmp_path: Path) -> None:
    path = tmp_path / "slide.tiff"
    write_slide(path, 1600, 1200)
    wanted = GridRequest(0.5, 256, 32, 2, 0, 0, 64)
    with open_slide(path) as slide:
        content = plan_slide(slide, 0.5, "0" * 64, wanted, Selection(), lambda: None)
    with open_slide(path) as slide:
        plan = Plan.read(content, slide, "0" * 64)
        os.truncate(path, path.stat().st_size // 2)
        table = formats.read_tiles(cut_shard(slide, plan, 0, "default", tmp_path / "pixels.arrow", lambda: None))
    rows = table.to_pylist()
    verdicts = {row["verdict"] for row in rows}
    assert {"kept", "unreadable"} <= verdicts
    for row in rows:
        assert (row["verdict"] == "unreadable") == (row["edge_density"] is None) == (row["focus"] is None)
    assert sum(region.pixels.size for region in read_regions(tmp_path / "pixels.arrow")) > 0


async def test_names_may_hold_anything_that_a_file_s_name_may(tmp_path: Path) -> None:
    async with bench(tmp_path) as tiler:
        for name in ("🧬 Fall 7.tiff", "100%.tiff", "a%2Fb %s.tiff", "'$(x)`.tiff"):
            slide = named(tiler, tmp_path, name)
            found = await tiler.stub.InspectSlide(tiler_pb2.InspectSlideRequest(slide=slide))
            assert found.width_px == 300
            plan = await tiler.plan(f"name{abs(hash(name))}", slide=slide)
            assert plan.tile_count == 4


def named(tiler: Bench, folder: Path, name: str) -> object:
    write_slide(folder / name, 300, 300)
    stored = tiler.store.put("p/files/named", folder / name)
    return reference([(name, stored)])


async def test_two_plans_of_one_slide_at_once_are_one(tmp_path: Path) -> None:
    async with bench(tmp_path) as tiler:
        same = await asyncio.gather(tiler.plan("same"), tiler.plan("same"))
        assert same[0] == same[1]
        other = await asyncio.gather(tiler.plan("one"), tiler.plan("two"))
        assert other[0].plan.sha256 == other[1].plan.sha256 == same[0].plan.sha256


async def test_one_slide_does_not_keep_people_from_another(tmp_path: Path) -> None:
    (tmp_path / "endless.tiff").write_bytes(endless())
    async with bench(tmp_path) as tiler:
        slow = tiler.shelve(tmp_path / "endless.tiff", mpp=0.5)
        await tiler.stub.InspectSlide(tiler_pb2.InspectSlideRequest(slide=slow))
        size = {"width_px": 512, "height_px": 512}
        wanted = tiler_pb2.RenderRegionRequest(slide=slow, downsample=60_000 / 512, **size)
        waiting = [tiler.stub.RenderRegion(wanted) for _ in range(SLIDE_RENDER_ADMIT)]
        asked = [asyncio.ensure_future(call.code()) for call in waiting]
        picture = tiler_pb2.RenderRegionRequest(slide=tiler.slide, downsample=1.0, **size)
        assert decode((await tiler.stub.RenderRegion(picture)).jpeg).shape == (512, 512, 3)
        assert not any(call.done() for call in asked), "it did not wait for one of them"
        for call in waiting:
            call.cancel()
        await asyncio.gather(*asked)
        picture.slide.CopyFrom(slow)
        assert (await tiler.stub.RenderRegion(picture)).jpeg, "who went away left the places"
