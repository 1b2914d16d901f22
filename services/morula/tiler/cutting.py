"""CutShard: every candidate of a shard decoded once, judged, and the kept pixels written without loss."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from morula.common import formats
from morula.common.compute import Checkpoint
from morula.common.errors import InvalidArgument
from morula.common.geometry import Box, Grid
from morula.common.pieces import Piece
from morula.common.pixels import MAX_REGION_PX, RegionPieces, write_regions
from morula.tiler import core
from morula.tiler.gates import Gate, TileJudgement
from morula.tiler.judging import Tile, judge, judge_one
from morula.tiler.pieces import hand_on, pack
from morula.tiler.slide import Area, Slide
from morula.tiler.tissue import TissueRule

Metadata = dict[str, Any]
PLAN_COLUMNS = ("tile", "column", "row", "x_px", "y_px", "width_px", "height_px", "region", "core", "fold_fraction")
TILE_COLUMNS = ("tile", "region", "x_px", "y_px", "width_px", "height_px", "fold_fraction")
DENSE = 0.75  # Above this share of tiles to read, the tiles' overlapping halos cost more than the gaps between them.
PIXELS_METADATA = ("mpp", "slide_mpp", "downsample", "calibration", "slide_digest")


@dataclass(frozen=True)
class Plan:
    """A plan as cutting needs it."""

    table: pa.Table
    metadata: Metadata
    grid: Grid
    scale: core.WorkingScale
    rule: TissueRule
    halo_px: int

    @classmethod
    def read(cls, content: bytes, slide: Slide, digest: str) -> "Plan":
        table = formats.read_plan(content)
        metadata = formats.read_metadata(table)
        if metadata["slide_digest"] != digest:
            raise InvalidArgument("the plan is of another slide", digest=metadata["slide_digest"])
        scale, grid_facts = core.WorkingScale(**metadata["scale"]), metadata["grid"]
        grid = core.make_grid(
            scale,
            metadata["slide_mpp"],
            (slide.width_px, slide.height_px),
            grid_facts["tile_px"],
            (grid_facts["origin_x_px"], grid_facts["origin_y_px"]),
        )
        return cls(table, metadata, grid, scale, TissueRule(**metadata["tissue_rule"]), grid_facts["halo_px"])

    def shard(self, index: int) -> pa.Table:
        """The tiles of a shard, in order of region and tile."""
        if not 0 <= index < self.metadata["shard_count"]:
            raise InvalidArgument(f"the plan has {self.metadata['shard_count']} shards and none numbered {index}")
        rows = self.table.filter(pa.array(self.table["shard"].to_numpy() == index))
        return rows.sort_by([("region", "ascending"), ("tile", "ascending")])


@dataclass(frozen=True)
class SecondCut:
    """Which regions of a shard are cut again, how much around them, and the table of tiles of the first cut."""

    regions: Sequence[int]
    halo_px: int
    tiles: pa.Table

    def __post_init__(self) -> None:
        if len(set(self.regions)) < len(self.regions):
            raise InvalidArgument("a second cut names each region once", field="second_cut.regions")

    def kept_tiles(self, region: int) -> list[Tile]:
        """The tiles of a region that the first cut kept."""
        rows = self.tiles.filter(pc.equal(self.tiles["region"], region)).to_pylist()
        kept = [_tile(row) for row in rows if row["verdict"] == "kept"]
        if not kept:
            raise InvalidArgument(f"nothing was kept of a region {region} of this shard", field="second_cut.regions")
        return kept


def cut_shard(
    slide: Slide, plan: Plan, shard_index: int, gate: Gate, pixels_path: Path, checkpoint: Checkpoint
) -> bytes:
    """Writes the shard's pixels to a file, region by region, and returns its table of tiles."""
    tiles = plan.shard(shard_index)
    judged: dict[int, TileJudgement] = {}
    regions = _regions(slide, plan, tiles, gate, judged, checkpoint)
    write_regions(regions, _pixels_metadata(plan, shard_index), pixels_path)
    return _write_tiles(plan, tiles, [judged[tile] for tile in tiles["tile"].to_pylist()])


def cut_again(
    slide: Slide, plan: Plan, shard_index: int, again: SecondCut, pixels_path: Path, checkpoint: Checkpoint
) -> None:
    """Writes some of a shard's regions to a file, with a larger halo; what was kept of them stays kept."""
    if not plan.shard(shard_index)["tile"].equals(again.tiles["tile"]):
        raise InvalidArgument(f"the table of tiles is not that of shard {shard_index}", field="tiles_key")
    wider = replace(plan, halo_px=again.halo_px)
    kept = {region: again.kept_tiles(region) for region in again.regions}
    if not plan.halo_px < again.halo_px <= _widest_halo_px(plan, kept.values()):
        raise InvalidArgument(
            f"a halo of {again.halo_px} px is not more than the plan's {plan.halo_px}, "
            f"or the regions become larger than {MAX_REGION_PX} px",
            field="second_cut.halo_px",
        )

    def regions() -> Iterator[RegionPieces]:
        for region, tiles in sorted(kept.items()):
            checkpoint()
            window = _window(wider, tiles)
            # Read the whole region: with such a halo the surroundings of the tiles overlap.
            places = _blocks(plan, window)
            pieces = hand_on(slide, window, places, []) if plan.scale.step == 1 else None
            if pieces is None:
                pieces = pack(slide, window, places, core.decode(window, plan.grid.tile_px, places, slide.read))
            yield RegionPieces(region, window.x_px, window.y_px, window.width, window.height, pieces)

    write_regions(regions(), _pixels_metadata(wider, shard_index), pixels_path)


def _pixels_metadata(plan: Plan, shard_index: int) -> Metadata:
    shared = {name: plan.metadata[name] for name in PIXELS_METADATA}
    return shared | {"halo_px": plan.halo_px, "tile_px": plan.grid.tile_px, "shard": shard_index}


def _widest_halo_px(plan: Plan, regions: Iterable[list[Tile]]) -> int:
    windows = [_window(replace(plan, halo_px=0), tiles) for tiles in regions]
    return (MAX_REGION_PX - max(max(window.width, window.height) for window in windows)) // 2


def _regions(
    slide: Slide, plan: Plan, tiles: pa.Table, gate: Gate, judged: dict[int, TileJudgement], checkpoint: Checkpoint
) -> Iterator[RegionPieces]:
    """The shard's regions with kept tiles, one in memory at a time; judges their tiles on the way."""
    for region, rows in groupby(tiles.select(TILE_COLUMNS).to_pylist(), itemgetter("region")):
        checkpoint()
        members = [_tile(row) for row in rows]
        cut = _as_stored(slide, plan, members, gate) or _as_decoded(slide, plan, members, gate)
        judged |= cut.judged
        kept = cut.kept(members)
        if kept:
            window = _window(plan, kept)
            yield RegionPieces(region, window.x_px, window.y_px, window.width, window.height, cut.pieces)


def _tile(row: dict[str, Any]) -> Tile:
    return Tile(row["tile"], Box(row["x_px"], row["y_px"], row["width_px"], row["height_px"]), row["fold_fraction"])


@dataclass(frozen=True)
class Region:
    """A region's tiles judged, and the pixels of what is kept."""

    judged: dict[int, TileJudgement]
    pieces: list[Piece]

    def kept(self, tiles: list[Tile]) -> list[Tile]:
        return [tile for tile in tiles if self.judged[tile.number].verdict == "kept"]


def _as_stored(slide: Slide, plan: Plan, tiles: list[Tile], gate: Gate) -> Region | None:
    """Where the slide's own JPEG tiles are handed on, only what is judged has to be decoded: the tiles, no halo."""
    region = _window(plan, tiles)
    if plan.scale.step != 1 or slide.jpeg_tiles(plan.scale.level, Area(*region.source())) is None:
        return None
    judged = {tile.number: judge_one(slide, plan.scale, plan.grid, plan.rule, tile, gate) for tile in tiles}
    if any(judgement.verdict == "unreadable" for judgement in judged.values()):
        return None
    kept = Region(judged, []).kept(tiles)
    if not kept:
        return Region(judged, [])
    window = _window(plan, kept)
    decoded = [window.around(tile.core, 0) for tile in tiles]
    pieces = hand_on(slide, window, _places(plan, window, kept), decoded)
    return None if pieces is None else Region(judged, pieces)


def _as_decoded(slide: Slide, plan: Plan, tiles: list[Tile], gate: Gate) -> Region:
    """The region decoded with its halo, its tiles judged in it, and packed."""
    window = _window(plan, tiles)
    decoded = core.decode(window, plan.grid.tile_px, _places(plan, window, tiles), slide.read)
    judged = {tile.number: judge(decoded, window.place(tile.core), plan.rule, tile, gate) for tile in tiles}
    kept = Region(judged, []).kept(tiles)
    if not kept:
        return Region(judged, [])
    inner = _window(plan, kept)
    pixels = decoded.part(inner.u - window.u, inner.v - window.v, inner.width, inner.height)
    return Region(judged, pack(slide, inner, _places(plan, inner, kept), pixels))


def _places(plan: Plan, window: core.SourceWindow, tiles: list[Tile]) -> list[core.WindowBox]:
    """What of a region is read, in working px from its corner: all, or only its tiles with their halo where few."""
    bounds = plan.grid.bounds([tile.number for tile in tiles])
    boxes = [tile.core for tile in tiles]
    if sum(box.width_px * box.height_px for box in boxes) >= DENSE * bounds.width_px * bounds.height_px:
        return _blocks(plan, window)
    return [window.around(box, plan.halo_px) for box in boxes]


def _blocks(plan: Plan, window: core.SourceWindow) -> list[core.WindowBox]:
    return core.blocks((window.width, window.height), max(1, int(core.SOURCE_BLOCK_PX / plan.scale.step)))


def _window(plan: Plan, tiles: list[Tile]) -> core.SourceWindow:
    bounds = plan.grid.bounds([tile.number for tile in tiles])
    return core.window_of(bounds, plan.scale, plan.grid, plan.halo_px)


def _write_tiles(plan: Plan, tiles: pa.Table, judgements: list[TileJudgement]) -> bytes:
    verdicts = [judgement.verdict for judgement in judgements]
    columns = {name: tiles[name].combine_chunks() for name in PLAN_COLUMNS}
    for metric in ("tissue_fraction", "focus", "pen_fraction"):
        columns[metric] = [getattr(judgement, metric) for judgement in judgements]
    for metric in formats.QUALITY_METRICS:
        columns[metric] = [getattr(judgement.quality, metric, None) for judgement in judgements]
    columns |= {"verdict": verdicts, "reasons": [list(judgement.reasons) for judgement in judgements]}
    kept, failed = verdicts.count("kept"), verdicts.count("unreadable")
    counts = {"kept": kept, "rejected": len(verdicts) - kept - failed, "failed": failed}
    return formats.write_tiles(columns, {**plan.metadata, **counts})
