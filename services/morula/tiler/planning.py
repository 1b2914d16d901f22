"""PlanSlide: tissue, grid, regions and shards of a slide, as one table."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from morula.common import formats
from morula.common.compute import Checkpoint
from morula.common.errors import InvalidArgument, SlideUnreadable
from morula.common.geometry import SCALE_RANGE_UM, Grid
from morula.common.regions import FARTHEST_PX
from morula.common.stain import Stain
from morula.tiler import core
from morula.tiler.calibration import calibrate
from morula.tiler.gates import EVERY
from morula.tiler.judging import Tile, judge_one
from morula.tiler.microarray import core_of, find_cores
from morula.tiler.selection import Selection, draw_sample, spread_order, wanted_tiles
from morula.tiler.slide import Pixels, Slide
from morula.tiler.survey import survey_slide
from morula.tiler.tissue import TissueRule, box_fractions

Fractions = npt.NDArray[np.float32]

SAMPLE_COUNT = 200
SAMPLE_PX = 64
SAMPLE_PIXELS = 200_000  # Percentiles and stains of more pixels are the same.


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
            "origin_x_px": abs(self.origin_x_px) <= FARTHEST_PX,
            "origin_y_px": abs(self.origin_y_px) <= FARTHEST_PX,
            "region_tile_count": 1 <= self.region_tile_count <= 64,
            "shard_tile_count": 1 <= self.shard_tile_count <= 256,
        }
        for name, holds in sensible.items():
            if not holds:
                raise InvalidArgument(f"{name} {getattr(self, name)} is out of range", field=name)


@dataclass(frozen=True)
class SlideGrid:
    """A grid over a slide, at the scale that is read."""

    slide: Slide
    grid: Grid
    scale: core.WorkingScale
    rule: TissueRule


def plan_slide(
    slide: Slide,
    slide_mpp: float,
    digest: str,
    wanted: GridRequest,
    selection: Selection,
    checkpoint: Checkpoint,
    stain: Stain | None = None,
) -> bytes:
    """The plan of a slide, ready for the store."""
    scale = core.choose_scale(slide.levels, slide_mpp, wanted.mpp, wanted.tile_px)
    origin = (wanted.origin_x_px, wanted.origin_y_px)
    grid = core.make_grid(scale, slide_mpp, (slide.width_px, slide.height_px), wanted.tile_px, origin)
    survey = survey_slide(slide, slide_mpp, checkpoint)
    slide_grid = SlideGrid(slide, grid, scale, survey.rule)
    boxes = grid.cores()
    tissue, folds = (box_fractions(mask, boxes, survey.downsample) for mask in (survey.tissue, survey.folds))
    left_out = _left_out(slide_grid, tissue, folds, selection, checkpoint)
    candidates = left_out == ""
    side = core.region_side(wanted.region_tile_count, wanted.shard_tile_count, wanted.tile_px, wanted.halo_px)
    groups = core.group_tiles(grid, candidates, side, wanted.shard_tile_count)
    calibration = calibrate(_sample(slide_grid, groups, checkpoint), stain)
    um_per_px = slide_mpp * survey.downsample
    cores = find_cores(survey.tissue, um_per_px, survey.downsample) if selection.find_cores else []
    tiles = np.arange(grid.tile_count)
    columns = {
        "tile": tiles,
        "column": tiles % grid.columns,
        "row": tiles // grid.columns,
        **{name: boxes[:, i] for i, name in enumerate(("x_px", "y_px", "width_px", "height_px"))},
        "core": core_of(cores, boxes[:, 0] + boxes[:, 2] / 2, boxes[:, 1] + boxes[:, 3] / 2),
        "tissue_fraction": tissue,
        "fold_fraction": folds,
        "candidate": candidates,
        "left_out": [reason or None for reason in left_out.tolist()],
        "region": groups.region,
        "shard": groups.shard,
    }
    metadata = {
        "slide_digest": digest,
        "slide_mpp": slide_mpp,
        **_grid_metadata(slide_grid, wanted, side),
        "shard_count": groups.shard_count,
        "candidate_tile_count": int(candidates.sum()),
        "calibration": asdict(calibration),
        "verdict": "tissue" if candidates.any() else "no_tissue",
        "tissue_rule": asdict(survey.rule),
        "cores": [asdict(one) for one in cores],
    }
    return formats.write_plan(columns, metadata)


def _grid_metadata(slide_grid: SlideGrid, wanted: GridRequest, side: int) -> dict[str, Any]:
    grid = slide_grid.grid
    size = {"width_px": grid.width_px, "height_px": grid.height_px}
    return {
        "mpp": grid.mpp,
        "level": slide_grid.scale.level,
        "downsample": slide_grid.scale.downsample,
        "scale": asdict(slide_grid.scale),
        "grid": asdict(wanted) | size | {"region_tile_count": side, "mpp": grid.mpp, "asked_mpp": wanted.mpp},
        "columns": grid.columns,
        "rows": grid.rows,
    }


def _left_out(
    slide_grid: SlideGrid, tissue: Fractions, folds: Fractions, selection: Selection, checkpoint: Checkpoint
) -> npt.NDArray[np.str_]:
    """Why each tile is not to be read; empty for those that are."""
    is_tissue = (tissue >= slide_grid.rule.min_fraction) | (selection.gate == EVERY)
    left_out = np.where(is_tissue, "", "background").astype("<U10")
    left_out[~wanted_tiles(slide_grid.grid, selection, checkpoint)] = "excluded"
    if not selection.sample_tile_count:
        return left_out

    def is_kept(tile: int) -> bool:
        checkpoint()
        asked = Tile(tile, slide_grid.grid.core(tile), float(folds[tile]))
        slide, scale, grid, rule = slide_grid.slide, slide_grid.scale, slide_grid.grid, slide_grid.rule
        return judge_one(slide, scale, grid, rule, asked, selection.gate).verdict == "kept"

    order = spread_order(slide_grid.grid, np.flatnonzero(left_out == ""), selection.seed)
    sampled = draw_sample(order, selection.sample_tile_count, is_kept)
    left_out[left_out == ""] = "unsampled"
    left_out[sampled] = ""
    return left_out


def _sample(slide_grid: SlideGrid, groups: core.Grouping, checkpoint: Checkpoint) -> Pixels:
    """Tissue pixels (n x 3) of windows within tiles that are spread over the slide."""
    grid, scale = slide_grid.grid, slide_grid.scale
    tiles = np.flatnonzero(groups.region >= 0)
    tiles = tiles[np.argsort(groups.region[tiles], kind="stable")]
    samples = [np.empty((0, 3), np.uint8)]
    for tile in map(int, core.spread(tiles, SAMPLE_COUNT)):
        checkpoint()
        window = core.window_of(grid.core(tile), scale, grid, 0)
        side = SAMPLE_PX // scale.unit_px * scale.unit_px or SAMPLE_PX
        width, height = min(side, window.width), min(side, window.height)
        # Up and left of the middle: there a window often lies within one JPEG tile, at the middle in four.
        left, top = max(0, window.width // 2 - width), max(0, window.height // 2 - height)
        middle = window.inner(
            left // scale.unit_px * scale.unit_px, top // scale.unit_px * scale.unit_px, width, height
        )
        try:
            pixels = middle.resample(slide_grid.slide.read(scale.level, *middle.source()))
        except SlideUnreadable:
            continue  # Cutting lists this tile as unreadable; colours come from those that are not.
        samples.append(pixels[slide_grid.rule.mask(pixels)])
    pixels = np.concatenate(samples)
    return pixels[:: max(1, len(pixels) // SAMPLE_PIXELS)]
