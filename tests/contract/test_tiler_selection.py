"""What callers may want of a slide, over a real channel: regions, samples, gates, any origin."""

import json
from pathlib import Path

import pytest

from morula.common import errors, formats
from morula.v1 import tiler_pb2
from tests.contract.test_tiler import Bench, bench, refusal

GRID = tiler_pb2.TileGrid(mpp=0.5, tile_px=128, halo_px=16, region_tile_count=2)


async def judged(tiler: Bench, name: str, gate: int = 0, **changes: object) -> list[dict[str, object]]:
    """Every tile that was read, planned and cut under one name."""
    plan = await tiler.plan(name, **{"grid": GRID, **changes})
    rows: list[dict[str, object]] = []
    for index in range(plan.shard_count):
        request = tiler.cut_request(plan, index, name, filter=tiler_pb2.TileFilter(gate=gate))  # type: ignore[arg-type]
        shard = await tiler.stub.CutShard(request)
        rows += formats.read_tiles(tiler.store.get(shard.tiles.key)).to_pylist()
    return rows


def box(x: int, y: int, side: int) -> str:
    ring = [[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]
    return json.dumps({"type": "Polygon", "coordinates": [ring]})


async def test_regions_are_kept_to(tmp_path: Path) -> None:
    async with bench(tmp_path) as tiler:
        selection = tiler_pb2.TileSelection(include_geojson=box(200, 200, 500), exclude_geojson=box(200, 200, 250))
        rows = await judged(tiler, "regions", selection=selection)
        centres = [(row["x_px"] + row["width_px"] / 2, row["y_px"] + row["height_px"] / 2) for row in rows]  # type: ignore[operator]
        assert centres
        assert all(200 < x < 700 and 200 < y < 700 and not (x < 450 and y < 450) for x, y in centres)
        plan = formats.read_plan(tiler.store.get("p/s/plan/regions.parquet"))
        assert "excluded" in plan["left_out"].to_pylist()
        with_reason = [reason is not None for reason in plan["left_out"].to_pylist()]
        assert with_reason == [not read for read in plan["candidate"].to_pylist()]


@pytest.mark.parametrize(
    "changes",
    [
        {"selection": tiler_pb2.TileSelection(include_geojson="{}")},
        {"selection": tiler_pb2.TileSelection(exclude_geojson='{"type":"Polygon","coordinates":[]}')},
        {"selection": tiler_pb2.TileSelection(sample_tile_count=-1)},
        {"selection": tiler_pb2.TileSelection(sample_tile_count=1, seed=-1)},
        {"grid": tiler_pb2.TileGrid(mpp=0.5, tile_px=128, region_tile_count=2, origin_x_px=2**62)},
        {"grid": tiler_pb2.TileGrid(mpp=0.5, tile_px=128, region_tile_count=2, origin_y_px=-(2**63))},
    ],
)
async def test_what_makes_no_sense_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    async with bench(tmp_path) as tiler:
        assert isinstance(await refusal(tiler.plan("broken", **changes)), errors.InvalidArgument)


async def test_a_sample_has_as_many_kept_tiles_as_were_asked_for(tmp_path: Path) -> None:
    async with bench(tmp_path) as tiler:
        drawn = []
        for seed in (1, 1, 2):
            selection = tiler_pb2.TileSelection(sample_tile_count=7, seed=seed)
            rows = await judged(tiler, f"sample{len(drawn)}", selection=selection)
            assert [row["verdict"] for row in rows] == ["kept"] * 7
            drawn.append({row["tile"] for row in rows})
        assert drawn[0] == drawn[1] != drawn[2]
        everything = {row["tile"] for row in await judged(tiler, "all") if row["verdict"] == "kept"}
        assert drawn[0] < everything


async def test_the_gate_is_the_caller_s(tmp_path: Path) -> None:
    async with bench(tmp_path) as tiler:
        default, paper = [
            {row["tile"]: row for row in await judged(tiler, f"gate{gate}", gate)}
            for gate in (tiler_pb2.TILE_GATE_DEFAULT, tiler_pb2.TILE_GATE_PAPER)
        ]
        assert default.keys() == paper.keys()
        assert {row["verdict"] for row in paper.values()} <= {"kept", "poor"}
        for tile, row in paper.items():
            assert row["laplacian_variance"] == default[tile]["laplacian_variance"]
            assert (row["verdict"] == "kept") == (row["reasons"] == [])
        unknown = judged(tiler, "gate9", 9)
        assert isinstance(await refusal(unknown), errors.InvalidArgument)


async def test_any_origin_gives_the_whole_slide(tmp_path: Path) -> None:
    async with bench(tmp_path) as tiler:
        grid = tiler_pb2.TileGrid()
        grid.CopyFrom(GRID)
        grid.origin_x_px, grid.origin_y_px = -37, 51
        rows = await judged(tiler, "origin", grid=grid)
        assert {(row["x_px"] + 37) % 128 for row in rows if row["x_px"]} == {0}  # type: ignore[operator]
        assert {(row["y_px"] - 51) % 128 for row in rows if row["y_px"]} == {0}  # type: ignore[operator]
        plan = formats.read_plan(tiler.store.get("p/s/plan/origin.parquet"))
        covered = sum(w * h for w, h in zip(plan["width_px"].to_pylist(), plan["height_px"].to_pylist(), strict=True))
        assert covered == 1100 * 900


async def test_a_single_section_has_no_cores(tmp_path: Path) -> None:
    async with bench(tmp_path) as tiler:
        plan = await tiler.plan("cores", selection=tiler_pb2.TileSelection(find_cores=True))
        assert plan.core_count == 0
