"""A look at a slide's colours when it comes in: what it may be stained with, before anybody plans anything."""

import time

import numpy as np

from morula.common.compute import Checkpoint, go_on
from morula.common.errors import SlideUnreadable
from morula.common.stain import Stain
from morula.tiler.calibration import recognise
from morula.tiler.slide import Area, Level, Pixels, Slide
from morula.tiler.tissue import TissueRule, find_rule

WINDOW_PX = 64
WINDOWS_A_SIDE = 16  # Of the first look, over the whole slide; what lies between them is not seen.
FINE_WINDOW_COUNT = 32  # Of the second, where the first saw most tissue.
COARSE_SIDE_PX = 1024  # The level of the first look is at least so long: 16 windows show all of it.
FINEST_UM = 2.0  # Coarser than this the stains run into each other.
FINEST_DOWNSAMPLE = 4.0  # The same where nobody says how large a pixel is.
LIMIT_CPU_S = 5.0  # A slide whose windows take longer is not worth the wait: somebody may say what it is.


def detect_stain(slide: Slide, checkpoint: Checkpoint = go_on) -> Stain | None:
    """What the slide's colours say; None where they do not tell, or where it takes too long to read them."""
    until = time.thread_time() + LIMIT_CPU_S
    coarse = _coarse_level(slide)
    seen = _read(slide, coarse, _grid(slide.levels[coarse]), until, checkpoint)
    if not seen:
        return None
    rule = find_rule(np.concatenate([pixels for _, pixels in seen]))
    fine = _fine_level(slide, coarse)
    places = _with_tissue(seen, rule, slide.levels[coarse].downsample / slide.levels[fine].downsample)
    tissue = [pixels[rule.mask(pixels)] for _, pixels in _read(slide, fine, places, until, checkpoint)]
    return recognise(np.concatenate([np.empty((0, 3), np.uint8), *tissue]), rule.illumination)


def _coarse_level(slide: Slide) -> int:
    """The coarsest that is not too small to show anything."""
    sides = [max(level.width_px, level.height_px) for level in slide.levels]
    return max((number for number, side in enumerate(sides) if side >= COARSE_SIDE_PX), default=0)


def _fine_level(slide: Slide, coarse: int) -> int:
    mpp = slide.scale.mpp
    limit = FINEST_UM / mpp if mpp else FINEST_DOWNSAMPLE
    return max((number for number in range(coarse + 1) if slide.levels[number].downsample <= limit), default=0)


def _grid(level: Level) -> list[Area]:
    """Windows spread evenly over a level; all of it where it is small."""
    size = (level.width_px, level.height_px)
    counts = [max(1, min(WINDOWS_A_SIDE, side // WINDOW_PX)) for side in size]
    spans = [min(WINDOW_PX, side) for side in size]
    lefts, tops = (
        np.linspace(0, side - span, count).astype(int).tolist()
        for side, span, count in zip(size, spans, counts, strict=True)
    )
    return [Area(left, top, *spans) for top in tops for left in lefts]


def _with_tissue(seen: list[tuple[Area, Pixels]], rule: TissueRule, step: float) -> list[Area]:
    """Windows of a finer level in the middle of those that show most tissue."""
    shares = np.array([rule.mask(pixels).mean() for _, pixels in seen])
    most = [int(number) for number in np.argsort(-shares, kind="stable")[:FINE_WINDOW_COUNT] if shares[number] > 0]
    middles = [(area.x_px + area.width_px / 2, area.y_px + area.height_px / 2) for area, _ in (seen[n] for n in most)]
    side = WINDOW_PX
    return [Area(int(x * step - side / 2), int(y * step - side / 2), side, side) for x, y in middles]


def _read(
    slide: Slide, level: int, areas: list[Area], until: float, checkpoint: Checkpoint
) -> list[tuple[Area, Pixels]]:
    """Those of the windows that can be read; none where there is no time for all."""
    seen = []
    for area in areas:
        checkpoint()
        if time.thread_time() > until:
            return []
        try:
            seen.append((area, slide.read(level, *area)))
        except SlideUnreadable:
            continue  # Cutting lists its tiles as unreadable; colours come from those that are not.
    return seen
