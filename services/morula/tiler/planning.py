"""PlanSlide: tissue, grid, regions and shards of a slide, as one table."""

from dataclasses import asdict, dataclass

import numpy as np

from morula.common import formats
from morula.common.compute import Checkpoint
from morula.common.errors import InvalidArgument, SlideUnreadable
from morula.common.geometry import SCALE_RANGE_UM, Grid
from morula.tiler import core
from morula.tiler.calibration import calibrate
from morula.tiler.slide import Pixels, Slide
from morula.tiler.tissue import TissueRule, box_fractions, find_rule, tissue_mask

OVERVIEW_PX = 2048
OVERVIEW_BLOCK_PX = 256
OVERVIEW_PART_PX = 64
SAMPLE_COUNT = 200
SAMPLE_PX = 128


@dataclass(frozen=True)
class GridRequest:
    """The grid that the caller asks for."""

    mpp: float
    tile_px: int
    halo_px: int
    region_tile_count: int
    origin_x_px: int
    origin_y_px: int
    shard_tile_count: int

    def __post_init__(self) -> None:
        sensible = {
            "mpp": SCALE_RANGE_UM[0] <= self.mpp <= SCALE_RANGE_UM[1],
            "tile_px": 16 <= self.tile_px <= 4096,
            "halo_px": 0 <= self.halo_px <= 1024,
            "region_tile_count": 1 <= self.region_tile_count <= 64,
            "shard_tile_count": 1 <= self.shard_tile_count <= 256,
        }
        for name, holds in sensible.items():
            if not holds:
                raise InvalidArgument(f"{name} {getattr(self, name)} is out of range", field=name)


def plan_slide(slide: Slide, slide_mpp: float, digest: str, wanted: GridRequest, checkpoint: Checkpoint) -> bytes:
    """The plan of a slide, ready for the store."""
    scale = core.choose_scale(slide.levels, slide_mpp, wanted.mpp, wanted.tile_px)
    origin = (wanted.origin_x_px, wanted.origin_y_px)
    grid = core.lay_grid(scale, slide_mpp, (slide.width_px, slide.height_px), wanted.tile_px, origin)
    overview, downsample = read_overview(slide, checkpoint)
    rule = find_rule(overview.pixels)
    mask = tissue_mask(overview.pixels, rule)
    for x, y, width, height in overview.unreadable:
        mask[y : y + height, x : x + width] = True  # To be tried and counted, not taken for background.
    cores = grid.cores()
    fractions = box_fractions(mask, cores, downsample)
    candidates = fractions >= rule.min_fraction
    side = core.region_side(wanted.region_tile_count, wanted.shard_tile_count, wanted.tile_px, wanted.halo_px)
    groups = core.group_tiles(grid, candidates, side, wanted.shard_tile_count)
    calibration = calibrate(_sample(slide, grid, scale, groups, rule, checkpoint))
    tiles = np.arange(grid.tile_count)
    columns = {
        "tile": tiles,
        "column": tiles % grid.columns,
        "row": tiles // grid.columns,
        **{name: cores[:, i] for i, name in enumerate(("x_px", "y_px", "width_px", "height_px"))},
        "tissue_fraction": fractions,
        "candidate": candidates,
        "region": groups.region,
        "shard": groups.shard,
    }
    metadata = {
        "slide_digest": digest,
        "slide_mpp": slide_mpp,
        "mpp": grid.mpp,
        "level": scale.level,
        "downsample": scale.downsample,
        "grid": {
            **asdict(wanted),
            "region_tile_count": side,
            "mpp": grid.mpp,
            "asked_mpp": wanted.mpp,
            "width_px": grid.width_px,
            "height_px": grid.height_px,
        },
        "columns": grid.columns,
        "rows": grid.rows,
        "shard_count": groups.shard_count,
        "candidate_tile_count": int(candidates.sum()),
        "calibration": asdict(calibration),
        "verdict": "tissue" if candidates.any() else "no_tissue",
        "scale": asdict(scale),
        "tissue_rule": asdict(rule),
    }
    return formats.write_plan(columns, metadata)


def read_overview(slide: Slide, checkpoint: Checkpoint) -> tuple[core.Decoded, float]:
    """The whole slide in at most 2048 px, and how many level-0 pixels make one of its own."""
    downsample = max(1.0, max(slide.width_px, slide.height_px) / OVERVIEW_PX)
    size = (max(1, int(slide.width_px / downsample)), max(1, int(slide.height_px / downsample)))

    def part(x: int, y: int, width: int, height: int) -> Pixels:
        checkpoint()
        return slide.read_scaled(x * downsample, y * downsample, downsample, width, height)

    lines = (range(0, size[0], OVERVIEW_PART_PX), range(0, size[1], OVERVIEW_PART_PX))
    return core.salvage(size, part, core.blocks(size, OVERVIEW_BLOCK_PX), lines), downsample


def _sample(
    slide: Slide,
    grid: Grid,
    scale: core.WorkingScale,
    groups: core.Grouping,
    rule: TissueRule,
    checkpoint: Checkpoint,
) -> Pixels:
    """Tissue pixels (n x 3) of windows in the middle of tiles that are spread over the slide."""
    tiles = np.flatnonzero(groups.region >= 0)
    tiles = tiles[np.argsort(groups.region[tiles], kind="stable")]
    found = [np.empty((0, 3), np.uint8)]
    for tile in map(int, core.spread(tiles, SAMPLE_COUNT)):
        checkpoint()
        window = core.window_of(grid.core(tile), scale, grid, 0)
        side = SAMPLE_PX // scale.unit_px * scale.unit_px or SAMPLE_PX
        width, height = min(side, window.width), min(side, window.height)
        middle = window.inner((window.width - width) // 2, (window.height - height) // 2, width, height)
        try:
            pixels = middle.resample(slide.read(scale.level, *middle.source()))
        except SlideUnreadable:
            continue  # Cutting lists this tile as unreadable; colours come from those that are not.
        found.append(pixels[rule.mask(pixels)])
    return np.concatenate(found)
