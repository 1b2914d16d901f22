"""Some regions of a shard once more, with a larger halo: what a second cut shows and what it refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from morula.common import errors, formats
from morula.common.pixels import read_pixels_metadata, read_regions
from morula.tiler.readers import open_slide
from morula.v1 import tiler_pb2
from tests.contract.test_tiler import Bench, bench, refusal


async def second_cut(tiler: Bench, plan: tiler_pb2.PlanSlideResponse, **changes: object) -> tiler_pb2.CutShardRequest:
    """A request to cut a region of the first shard again, after the first cut."""
    first = await tiler.stub.CutShard(tiler.cut_request(plan, 0))
    kept = [
        row["region"]
        for row in formats.read_tiles(tiler.store.get(first.tiles.key)).to_pylist()
        if row["verdict"] == "kept"
    ]
    wanted = {"regions": kept[:1], "halo_px": 256, **changes}
    return tiler.cut_request(
        plan,
        0,
        tiles_key=first.tiles.key,
        pixels_key="p/s/pixels/again.arrow",
        second_cut=tiler_pb2.SecondCut(**wanted),  # type: ignore[arg-type]
    )


async def test_a_second_cut_shows_more_around_some_regions_and_judges_nothing(tmp_path: Path) -> None:
    async with bench(tmp_path) as tiler:
        plan = await tiler.plan()
        request = await second_cut(tiler, plan)
        first = await tiler.stub.CutShard(tiler.cut_request(plan, 0))
        # Another gate would keep nothing: the verdicts are those of the first cut.
        request.filter.gate = tiler_pb2.TILE_GATE_PAPER
        again = await tiler.stub.CutShard(request)
        assert (again.tiles, again.kept_tile_count) == (first.tiles, first.kept_tile_count)
        content = tiler.store.get(again.pixels.key, again.pixels.sha256)
        assert read_pixels_metadata(content)["halo_px"] == 256
        [wide] = list(read_regions(content))
        narrow = {region.index: region for region in read_regions(tiler.store.get(first.pixels.key))}[wide.index]
        assert (wide.x_px, wide.y_px) == (narrow.x_px - 224, narrow.y_px - 224)
        assert wide.pixels.shape == (narrow.pixels.shape[0] + 448, narrow.pixels.shape[1] + 448, 3)
        with open_slide(tiler.folder / "slide.tiff") as slide:
            height, width = wide.pixels.shape[:2]
            inside = slice(max(0, -int(wide.y_px)), height), slice(max(0, -int(wide.x_px)), width)
            shown = slide.read(0, int(wide.x_px), int(wide.y_px), width, height)
            np.testing.assert_array_equal(wide.pixels[inside], shown[inside])
        tiler.store.delete(again.pixels.key)
        assert await tiler.stub.CutShard(request) == again, "pixels that were deleted are cut again to the same bytes"


@pytest.mark.parametrize(
    "wanted",
    [
        {"regions": []},
        {"regions": [0, 0]},
        {"regions": [999]},
        {"regions": [-1]},
        {"halo_px": -1},
        {"halo_px": 0},
        {"halo_px": 32},
        {"halo_px": 4096},
        {"halo_px": 2**31 - 1},
    ],
)
async def test_a_second_cut_of_nothing_or_too_much_is_refused(tmp_path: Path, wanted: dict[str, Any]) -> None:
    async with bench(tmp_path) as tiler:
        plan = await tiler.plan()
        request = await second_cut(tiler, plan, **wanted)
        assert isinstance(await refusal(tiler.stub.CutShard(request)), (errors.InvalidArgument, errors.MissingField))
        assert tiler.store.stat(request.pixels_key) is None


async def test_a_second_cut_needs_the_first_one_of_its_shard(tmp_path: Path) -> None:
    async with bench(tmp_path) as tiler:
        plan = await tiler.plan()
        request = await second_cut(tiler, plan)
        assert plan.shard_count > 1
        request.shard_index = 1
        assert isinstance(await refusal(tiler.stub.CutShard(request)), errors.InvalidArgument)
        request.shard_index, request.tiles_key = 0, "p/s/tiles/never.parquet"
        assert isinstance(await refusal(tiler.stub.CutShard(request)), errors.ArtifactMissing)
