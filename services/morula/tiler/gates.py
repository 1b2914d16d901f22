"""What of the tiles that are read is kept, and why the others are not."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

import cv2
import numpy as np

from morula.tiler.artefacts import pen_mask
from morula.tiler.impression import Impression
from morula.tiler.quality import Quality, Thresholds, laplacian_variance, measure
from morula.tiler.tissue import Mask, TissueRule

Verdict = Literal["kept", "background", "blurred", "artefact", "poor", "unreadable"]
Gate = Literal["default", "paper", "every"]
EVERY: Gate = "every"

MAX_PEN_FRACTION = 0.25
MAX_FOLD_FRACTION = 0.3
MIN_FOCUS = 6.0  # Below it there is nothing but noise.
# Of stained tissue in focus, the Laplacian's variance is 8 % and more of the grey levels' own; out of focus, 1 %.
MIN_SHARPNESS = 0.02
CERTAIN_FOCUS = 45.0  # Above it tissue is sharp however much its grey levels vary.
PAPER = Thresholds()


@dataclass(frozen=True)
class TileJudgement:
    """Verdict on one tile, all reasons against it, and what they rest on; None where nothing could be read."""

    verdict: Verdict
    reasons: tuple[str, ...] = ()
    tissue_fraction: float | None = None
    focus: float | None = None
    pen_fraction: float | None = None
    quality: Quality | None = None

    @classmethod
    def unreadable(cls) -> Self:
        return cls("unreadable", ("unreadable",))


@dataclass(frozen=True)
class Evidence:
    """What is known of a tile when a gate decides."""

    tissue_fraction: float
    min_tissue_fraction: float
    focus: float
    spread: float
    """Standard deviation of the grey levels that focus was measured on."""
    pen_fraction: float
    fold_fraction: float
    quality: Quality


def judge_tile(seen: Impression, rule: TissueRule, gate: Gate = "default", fold_fraction: float = 0.0) -> TileJudgement:
    """Measures a tile and lets the gate decide; folds are found on the overview, so their share comes along."""
    quality = measure(seen)
    bright = rule.illumination == "bright"
    by_grey = seen.focused is seen.grey
    evidence = Evidence(
        tissue_fraction=share(rule.mask(seen.small)),
        min_tissue_fraction=rule.min_fraction,
        focus=quality.laplacian_variance if by_grey else laplacian_variance(seen.focused),
        spread=quality.std_intensity if by_grey else float(seen.focused.std()),
        pen_fraction=share(pen_mask(seen.small)) if bright else 0.0,
        fold_fraction=fold_fraction,
        quality=quality,
    )
    verdict, reasons = GATES[gate](evidence)
    return TileJudgement(
        verdict, reasons, evidence.tissue_fraction, evidence.focus, evidence.pen_fraction, evidence.quality
    )


def share(mask: Mask) -> float:
    """How much of a mask is set."""
    return cv2.countNonZero(mask.view(np.uint8)) / mask.size


def _default_gate(tile: Evidence) -> tuple[Verdict, tuple[str, ...]]:
    """Enough tissue, no pen, no fold, in focus."""
    checks: list[tuple[Verdict, str, bool]] = [
        ("background", "background", tile.tissue_fraction < tile.min_tissue_fraction),
        ("artefact", "pen", tile.pen_fraction > MAX_PEN_FRACTION),
        ("artefact", "fold", tile.fold_fraction > MAX_FOLD_FRACTION),
        ("blurred", "blurred", not _is_sharp(tile)),
    ]
    failed = [(verdict, reason) for verdict, reason, fails in checks if fails]
    return (failed[0][0] if failed else "kept"), tuple(reason for _, reason in failed)


def _is_sharp(tile: Evidence) -> bool:
    # Only tissue can be sharp: divide by its share of the tile.
    own = tile.focus / max(tile.tissue_fraction, tile.min_tissue_fraction)
    if own >= CERTAIN_FOCUS:
        return True
    return own >= MIN_FOCUS and tile.focus >= MIN_SHARPNESS * tile.spread**2


def _paper_gate(tile: Evidence) -> tuple[Verdict, tuple[str, ...]]:
    """The reference's six metrics with its thresholds. They reject fat and cartilage, so they are not the default."""
    failed = PAPER.failed(tile.quality)
    return ("poor" if failed else "kept"), failed


def _every_gate(tile: Evidence) -> tuple[Verdict, tuple[str, ...]]:
    """Whatever shows anything: cells that came with a slide are not judged by how their tiles look."""
    is_blank = tile.spread == 0
    return ("background" if is_blank else "kept"), ("background",) if is_blank else ()


GATES: dict[Gate, Callable[[Evidence], tuple[Verdict, tuple[str, ...]]]] = {
    "default": _default_gate,
    "paper": _paper_gate,
    EVERY: _every_gate,
}
