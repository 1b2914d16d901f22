"""The tiler over a real channel: what a slide is, how it is planned and cut, what people are shown."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import imagecodecs
import numpy as np
import pyarrow as pa
import pytest
import tifffile

from morula.common import errors, formats
from morula.common.folder import FolderStore
from morula.common.keys import slide_digest
from morula.common.pixels import read_pixels_metadata, read_regions
from morula.common.rpc import from_rpc_error
from morula.common.store import Stored
from morula.common.testing import Nuclei, running, write_slide
from morula.tiler.readers import open_slide
from morula.tiler.servicer import TilerServicer
from morula.v1 import artifact_pb2, tiler_pb2, tiler_pb2_grpc

DATA = Path(os.environ.get("MORULA_DATA", "../shared/data"))
GRID = tiler_pb2.TileGrid(mpp=0.5, tile_px=256, halo_px=32, region_tile_count=2)


@dataclass(frozen=True)
class Bench:
    """A tiler that runs, its store, and a slide in it."""

    stub: Any
    store: FolderStore
    folder: Path
    nuclei: Nuclei
    slide: artifact_pb2.SlideRef

    def shelve(self, *paths: Path, mpp: float = 0.0) -> artifact_pb2.SlideRef:
        stored = [(path.name, self.store.put(f"p/files/{path.parent.name}/{path.name}", path)) for path in paths]
        return reference(stored, mpp)

    async def plan(self, name: str = "plan", **changes: object) -> tiler_pb2.PlanSlideResponse:
        fields: dict[str, object] = {
            "slide": self.slide,
            "grid": GRID,
            "shard_tile_count": 4,
            "plan_key": f"p/s/plan/{name}.parquet",
        }
        answer: tiler_pb2.PlanSlideResponse = await self.stub.PlanSlide(
            tiler_pb2.PlanSlideRequest(**{**fields, **changes})  # type: ignore[arg-type]
        )
        return answer

    def cut_request(
        self, plan: tiler_pb2.PlanSlideResponse, index: int, name: str = "shard", **changes: object
    ) -> tiler_pb2.CutShardRequest:
        fields: dict[str, object] = {
            "slide": self.slide,
            "plan": plan.plan,
            "shard_index": index,
            "tiles_key": f"p/s/tiles/{name}-{index}.parquet",
            "pixels_key": f"p/s/pixels/{name}-{index}.arrow",
        }
        return tiler_pb2.CutShardRequest(**{**fields, **changes})  # type: ignore[arg-type]


def reference(stored: Sequence[tuple[str, Stored]], mpp: float = 0.0) -> artifact_pb2.SlideRef:
    files = [
        artifact_pb2.SlideFile(
            name=name,
            object=artifact_pb2.ObjectRef(key=one.key, sha256=one.sha256, size_bytes=one.size_bytes),
        )
        for name, one in stored
    ]
    digest = slide_digest([(file.name, file.object.sha256, file.object.size_bytes) for file in files], files[0].name)
    return artifact_pb2.SlideRef(digest=digest, entry=files[0].name, files=files, mpp=mpp)


@asynccontextmanager
async def bench(folder: Path, width_px: int = 1100, height_px: int = 900) -> AsyncIterator[Bench]:
    path = folder / "slide.tiff"
    nuclei = write_slide(path, width_px, height_px)
    store = FolderStore(folder / "store")
    servicer = TilerServicer(store)
    try:
        async with running(servicer) as channel:
            slide = reference([("slide.tiff", store.put("p/files/slide.tiff", path))])
            yield Bench(
                tiler_pb2_grpc.TilerServiceStub(channel),
                store,
                folder,
                nuclei,
                slide,
            )
    finally:
        servicer.close()


async def refusal(call: object) -> errors.MorulaError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call  # type: ignore[misc]
    return from_rpc_error(caught.value)


def decode(jpeg: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(imagecodecs.jpeg8_decode(jpeg))


async def test_inspection_says_size_scale_and_levels(tmp_path: Path) -> None:
    async with bench(tmp_path) as tiler:
        found = await tiler.stub.InspectSlide(tiler_pb2.InspectSlideRequest(slide=tiler.slide))
        assert (found.width_px, found.height_px, found.vendor) == (1100, 900, "generic-tiff")
        assert found.mpp == pytest.approx(0.5)
        assert not found.mpp_assumed
        assert [level.downsample for level in found.levels] == pytest.approx([1, 4], rel=0.01)

        stated = artifact_pb2.SlideRef()
        stated.CopyFrom(tiler.slide)
        stated.mpp = 0.3
        found = await tiler.stub.InspectSlide(tiler_pb2.InspectSlideRequest(slide=stated))
        assert found.mpp == 0.3


async def test_kept_pixels_are_the_slides_own(tmp_path: Path) -> None:
    async with bench(tmp_path) as tiler:
        plan = await tiler.plan()
        assert plan.mpp == pytest.approx(0.5)
        assert plan.tile_count == 5 * 4
        assert 0 < plan.candidate_tile_count <= plan.tile_count
        shards = [await tiler.stub.CutShard(tiler.cut_request(plan, index)) for index in range(plan.shard_count)]
        assert sum(shard.kept_tile_count + shard.rejected_tile_count for shard in shards) == plan.candidate_tile_count
        assert sum(shard.failed_tile_count for shard in shards) == 0
        seen: set[str] = set()
        with open_slide(tiler.folder / "slide.tiff") as slide:
            for shard in shards:
                content = tiler.store.get(shard.pixels.key, shard.pixels.sha256)
                assert read_pixels_metadata(content)["halo_px"] == 32
                seen |= codecs(content)
                regions = {region.index: region for region in read_regions(content)}
                for tile in formats.read_tiles(tiler.store.get(shard.tiles.key)).to_pylist():
                    if tile["verdict"] == "kept":
                        region = regions[tile["region"]]
                        left, top = tile["x_px"] - 32, tile["y_px"] - 32
                        width, height = tile["width_px"] + 64, tile["height_px"] + 64
                        x, y = left - int(region.x_px), top - int(region.y_px)
                        seen_here = region.pixels[y : y + height, x : x + width]
                        np.testing.assert_array_equal(seen_here, slide.read(0, left, top, width, height))
        assert seen == {"jpeg", "jxl"}, "the slide's own tiles, and pixels at its edge"


def codecs(content: bytes) -> set[str]:
    table = pa.ipc.open_file(pa.BufferReader(content)).read_all()
    return set(table["codec"].to_pylist())


async def test_every_kept_tile_lies_in_a_region_with_its_halo(tmp_path: Path) -> None:
    async with bench(tmp_path) as tiler:
        plan = await tiler.plan(grid=tiler_pb2.TileGrid(mpp=0.7, tile_px=128, halo_px=20, region_tile_count=3))
        for index in range(plan.shard_count):
            shard = await tiler.stub.CutShard(tiler.cut_request(plan, index))
            tiles = formats.read_tiles(tiler.store.get(shard.tiles.key)).to_pylist()
            regions = {region.index: region for region in read_regions(tiler.store.get(shard.pixels.key))}
            kept = [tile for tile in tiles if tile["verdict"] == "kept"]
            assert {tile["region"] for tile in kept} == set(regions)
            for tile in kept:
                region = regions[tile["region"]]
                height, width = region.pixels.shape[:2]
                left = (tile["x_px"] - region.x_px) / region.downsample
                right = (tile["x_px"] + tile["width_px"] - region.x_px) / region.downsample
                assert left >= region.halo_px - 1
                assert right <= width - region.halo_px + 1
                top = (tile["y_px"] - region.y_px) / region.downsample
                assert region.halo_px - 1 <= top < height


async def test_a_shard_holds_no_more_tiles_than_asked(tmp_path: Path) -> None:
    async with bench(tmp_path) as tiler:
        plan = await tiler.plan(shard_tile_count=3)
        table = formats.read_plan(tiler.store.get(plan.plan.key))
        shards = [shard for shard in table["shard"].to_pylist() if shard >= 0]
        assert len(shards) == plan.candidate_tile_count
        assert max(shards.count(shard) for shard in set(shards)) <= 3
        assert set(shards) == set(range(plan.shard_count))


async def test_the_same_plan_and_shard_twice_at_once_are_one(tmp_path: Path) -> None:
    async with bench(tmp_path) as tiler:
        plans = await asyncio.gather(tiler.plan(), tiler.plan(), tiler.plan("other"))
        assert plans[0] == plans[1]
        assert plans[2].plan.sha256 == plans[0].plan.sha256
        request = tiler.cut_request(plans[0], 0)
        first, second = await asyncio.gather(tiler.stub.CutShard(request), tiler.stub.CutShard(request))
        assert first == second
        tiler.store.delete(first.pixels.key)
        again = await tiler.stub.CutShard(request)
        assert again == first, "pixels that were deleted are cut again to the same bytes"


async def test_what_exists_is_answered_without_the_slide(tmp_path: Path) -> None:
    async with bench(tmp_path) as tiler:
        plan = await tiler.plan()
        shard = await tiler.stub.CutShard(tiler.cut_request(plan, 0))
        tiler.store.delete("p/files/slide.tiff")
        assert await tiler.plan() == plan
        assert await tiler.stub.CutShard(tiler.cut_request(plan, 0)) == shard


async def test_a_slide_without_tissue_has_no_shards(tmp_path: Path) -> None:
    async with bench(tmp_path) as tiler:
        path = tmp_path / "empty.tiff"
        white = np.full((600, 700, 3), 243, np.uint8)
        per_cm = 10_000 / 0.5
        tifffile.imwrite(
            path, white, photometric="rgb", tile=(256, 256), resolution=(per_cm, per_cm), resolutionunit="CENTIMETER"
        )
        plan = await tiler.plan("empty", slide=tiler.shelve(path))
        assert (plan.shard_count, plan.candidate_tile_count) == (0, 0)
        metadata = formats.read_metadata(formats.read_plan(tiler.store.get(plan.plan.key)))
        assert metadata["verdict"] == "no_tissue"


async def test_a_slide_without_scale_is_refused_until_its_user_states_one(tmp_path: Path) -> None:
    async with bench(tmp_path) as tiler:
        path = tmp_path / "unscaled.tiff"
        tifffile.imwrite(path, np.full((64, 64, 3), 120, np.uint8), photometric="rgb", tile=(64, 64))
        failure = await refusal(tiler.plan("unscaled", slide=tiler.shelve(path)))
        assert isinstance(failure, errors.SlideScaleUnknown)
        assert tiler.store.stat("p/s/plan/unscaled.parquet") is None
        plan = await tiler.plan("scaled", slide=tiler.shelve(path, mpp=0.5))
        assert plan.mpp == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["zero.svs", "words.svs", "cut.tiff", "beyond.tiff"])
async def test_what_is_no_slide_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    async with bench(tmp_path) as tiler:
        whole = (tmp_path / "slide.tiff").read_bytes()
        content = {
            "zero.svs": b"",
            "words.svs": b"This is no slide.\n" * 100,
            "cut.tiff": whole[: len(whole) // 2],
            "beyond.tiff": b"II*\0" + (1 << 30).to_bytes(4, "little"),
        }[name]
        (tmp_path / name).write_bytes(content)
        request = tiler_pb2.InspectSlideRequest(slide=tiler.shelve(tmp_path / name))
        failure = await refusal(tiler.stub.InspectSlide(request))
        assert isinstance(failure, errors.SlideUnreadable)
        assert name in failure.detail
        assert "\n" not in failure.detail
        found = await tiler.stub.InspectSlide(tiler_pb2.InspectSlideRequest(slide=tiler.slide))
        assert found.width_px == 1100, "the server lives on"


async def test_names_may_hold_anything_but_a_way_out(tmp_path: Path) -> None:
    async with bench(tmp_path) as tiler:
        stored = tiler.store.put("p/files/slide.tiff", b"")
        for name in ("100 % 🔬 Gewebe.tiff", "-rf.tiff", "deep/er/slide.tiff"):
            found = await tiler.stub.InspectSlide(tiler_pb2.InspectSlideRequest(slide=reference([(name, stored)])))
            assert found.width_px == 1100
        for name in ("../slide.tiff", "/etc/slide.tiff", "a/../../slide.tiff", "a\\b.tiff", "."):
            request = tiler_pb2.InspectSlideRequest(slide=reference([(name, stored)]))
            assert isinstance(await refusal(tiler.stub.InspectSlide(request)), errors.InvalidArgument)


async def test_a_slide_that_is_not_what_its_digest_says_is_refused(tmp_path: Path) -> None:
    async with bench(tmp_path) as tiler:
        lying = artifact_pb2.SlideRef()
        lying.CopyFrom(tiler.slide)
        lying.digest = "0" * 64
        failure = await refusal(tiler.stub.InspectSlide(tiler_pb2.InspectSlideRequest(slide=lying)))
        assert isinstance(failure, errors.InvalidArgument)


async def test_tiles_that_cannot_be_decoded_are_counted_and_the_rest_is_kept(tmp_path: Path) -> None:
    async with bench(tmp_path) as tiler:
        path = tmp_path / "holed.tiff"
        write_slide(path, 1100, 900)
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages[0]
            offset, length = page.dataoffsets[6], page.databytecounts[6]
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(b"\xff" * length)
        slide = tiler.shelve(path)
        plan = await tiler.plan("holed", slide=slide)
        shards = [
            await tiler.stub.CutShard(tiler.cut_request(plan, index, "holed", slide=slide))
            for index in range(plan.shard_count)
        ]
        assert sum(shard.failed_tile_count for shard in shards) == 1
        assert sum(shard.kept_tile_count for shard in shards) >= 8
        rows = [row for shard in shards for row in formats.read_tiles(tiler.store.get(shard.tiles.key)).to_pylist()]
        (failed,) = [row for row in rows if row["verdict"] == "unreadable"]
        assert failed["tile"] == 6
        assert failed["focus"] is None
        assert failed["tissue_fraction"] is None


async def test_a_picture_shows_the_slide_and_white_beyond_it(tmp_path: Path) -> None:
    async with bench(tmp_path) as tiler:
        request = tiler_pb2.RenderRegionRequest(
            slide=tiler.slide, x_px=-100, y_px=-60, width_px=700, height_px=500, downsample=2.0
        )
        picture = decode((await tiler.stub.RenderRegion(request)).jpeg)
        assert picture.shape == (500, 700, 3)
        assert picture[:20].min() > 250
        assert picture[:, 610:].min() > 250
        assert picture[200:300, 200:400].mean() < 220

        request.width_px = 5000
        assert isinstance(await refusal(tiler.stub.RenderRegion(request)), errors.InvalidArgument)
        request.width_px, request.downsample = 700, float("nan")
        assert isinstance(await refusal(tiler.stub.RenderRegion(request)), errors.InvalidArgument)


async def test_a_sheet_centres_every_cell(tmp_path: Path) -> None:
    async with bench(tmp_path) as tiler:
        centres = [
            tiler_pb2.SlidePoint(x_px=x, y_px=y)
            for x, y in zip(tiler.nuclei.x_px[:7], tiler.nuclei.y_px[:7], strict=True)
        ]
        request = tiler_pb2.RenderCellsRequest(slide=tiler.slide, centres=centres, window_um=16, cell_px=96)
        answer = await tiler.stub.RenderCells(request)
        assert answer.column_count == 3
        sheet = decode(answer.jpeg)
        assert sheet.shape == (288, 288, 3)
        for number in range(7):
            line, column = divmod(number, 3)
            red = sheet[line * 96 : line * 96 + 96, column * 96 : column * 96 + 96, 0].astype(float)
            dark = red < (red.max() + red.min()) / 2
            rows, columns = np.nonzero(dark & (np.hypot(*(np.mgrid[:96, :96] - 47.5)) < 40))
            assert abs(rows.mean() - 47.5) < 2.5
            assert abs(columns.mean() - 47.5) < 2.5
        assert sheet[208:, 112:].min() > 250, "places without a cell stay white"


async def test_people_do_not_wait_behind_cutting(tmp_path: Path) -> None:
    async with bench(tmp_path) as tiler:
        plan = await tiler.plan()
        cutting = [
            asyncio.ensure_future(tiler.stub.CutShard(tiler.cut_request(plan, 0, f"try{number}")))
            for number in range(3)
        ]
        request = tiler_pb2.RenderRegionRequest(slide=tiler.slide, width_px=64, height_px=64, downsample=4.0)
        await asyncio.gather(*(tiler.stub.RenderRegion(request) for _ in range(24)))
        shards = await asyncio.gather(*cutting)
        assert len({shard.pixels.sha256 for shard in shards}) == 1


@pytest.fixture
def broken() -> Path:
    folder = DATA / "slides" / "broken"
    if not folder.is_dir():
        pytest.skip(f"no real data at {DATA} (set MORULA_DATA)")
    return folder


async def test_real_broken_slides_are_refused_and_tiny_valid_ones_accepted(tmp_path: Path, broken: Path) -> None:
    async with bench(tmp_path) as tiler:
        for name in ("unopenable.tiff", "unreadable.svs", "broken.svs"):
            request = tiler_pb2.InspectSlideRequest(slide=tiler.shelve(broken / name))
            failure = await refusal(tiler.stub.InspectSlide(request))
            assert isinstance(failure, errors.SlideUnreadable), name
        sets = [
            ["small.svs"],
            ["boxes.tiff"],
            ["highdicom_sm_image.dcm"],
            ["boxes_dcm/boxes_0.dcm", "boxes_dcm/boxes_1.dcm"],
        ]
        sizes = []
        for names in sets:
            request = tiler_pb2.InspectSlideRequest(slide=tiler.shelve(*(broken / name for name in names)))
            found = await tiler.stub.InspectSlide(request)
            sizes.append((found.width_px, found.height_px))
        assert sizes == [(16, 16), (300, 250), (50, 50), (16, 16)]
