"""The first look at a slide: all of it at a small scale, and what on it is tissue, fold or core."""

from dataclasses import dataclass

from morula.common.compute import Checkpoint
from morula.tiler import core
from morula.tiler.artefacts import fold_mask
from morula.tiler.slide import Pixels, Slide
from morula.tiler.tissue import Mask, TissueRule, find_rule, tissue_mask

OVERVIEW_PX = 2048
OVERVIEW_BLOCK_PX = 256
OVERVIEW_PART_PX = 64


@dataclass(frozen=True)
class Survey:
    """The overview and its masks; a pixel of it is `downsample` level-0 pixels."""

    overview: Pixels
    downsample: float
    rule: TissueRule
    tissue: Mask
    folds: Mask


def survey_slide(slide: Slide, slide_mpp: float, checkpoint: Checkpoint) -> Survey:
    overview, downsample = read_overview(slide, checkpoint)
    rule = find_rule(overview.pixels)
    tissue = tissue_mask(overview.pixels, rule)
    for x, y, width, height in overview.unreadable:
        # Counted as tissue, so that its tiles are tried and reported as unreadable.
        tissue[y : y + height, x : x + width] = True
    stained = tissue & (rule.illumination == "bright")
    return Survey(
        overview.pixels, downsample, rule, tissue, fold_mask(overview.pixels, stained, slide_mpp * downsample)
    )


def read_overview(slide: Slide, checkpoint: Checkpoint) -> tuple[core.Decoded, float]:
    """The whole slide in at most 2048 px, and how many level-0 pixels make one of its own."""
    downsample = max(1.0, max(slide.width_px, slide.height_px) / OVERVIEW_PX)
    size = (max(1, int(slide.width_px / downsample)), max(1, int(slide.height_px / downsample)))

    def part(x: int, y: int, width: int, height: int) -> Pixels:
        return slide.read_scaled(x * downsample, y * downsample, downsample, width, height, checkpoint)

    lines = (range(0, size[0], OVERVIEW_PART_PX), range(0, size[1], OVERVIEW_PART_PX))
    return core.salvage(size, part, core.blocks(size, OVERVIEW_BLOCK_PX), lines), downsample
