"""What of a slide is tissue: arrays in, arrays out."""

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from morula.tiler.planes import mark_tissue
from morula.tiler.slide import WHITE, Pixels

Grey = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Window = tuple[slice, slice]
Illumination = Literal["bright", "dark"]

# Contrast to the background, in grey levels, that is tissue at the least (noise, JPEG) and at the most: a field
# full of tissue has no background for Otsu to find, and pale fat must not fall below a threshold set by dark nuclei.
CONTRAST_FLOOR = 12.0
CONTRAST_CEILING = 24.0
DARK_SLIDE_MEDIAN = 60
UNSCANNED_LEVEL = 4  # Scanners fill what they skipped with pure black.
RULE_PX = 512
SPECK_PX = 9  # Overview areas smaller than this are dust.

MIN_TISSUE_FRACTION = 0.05
MIN_TISSUE_FRACTION_DARK = 0.01  # Between fluorescent nuclei nothing shines, so sparse tissue covers little.


@dataclass(frozen=True)
class TissueRule:
    """How this slide's tissue differs from its background; found once, applied to overview and tiles alike."""

    illumination: Illumination
    background: float
    threshold: float

    @property
    def min_fraction(self) -> float:
        """Share of a tile that must be tissue."""
        return MIN_TISSUE_FRACTION if self.illumination == "bright" else MIN_TISSUE_FRACTION_DARK

    def contrast(self, pixels: Pixels) -> Grey:
        """Grey levels between each pixel and the background.

        On a bright slide the darkest channel counts: every stain absorbs in one of them, pale ones in one only.
        """
        if self.illumination == "dark":
            return _above(brightest(pixels), round(self.background))
        contrast = _above(_grey(cv2.bitwise_not(_darkest(pixels))), 255 - round(self.background))
        contrast[brightest(pixels) < UNSCANNED_LEVEL] = 0
        return contrast

    def mask(self, pixels: Pixels) -> Mask:
        """Where the median of the contrasts around, 3 x 3, is above the threshold."""
        pixels = np.ascontiguousarray(pixels)
        background, least = round(self.background), math.floor(self.threshold) + 1
        if self.illumination == "dark":
            return mark_tissue(pixels, background + least, WHITE)
        return mark_tissue(pixels, UNSCANNED_LEVEL, background - least)


def brightest(pixels: Pixels) -> Grey:
    red, green, blue = cv2.split(pixels)
    return _grey(cv2.max(cv2.max(red, green), blue))


def _darkest(pixels: Pixels) -> Grey:
    red, green, blue = cv2.split(pixels)
    return _grey(cv2.min(cv2.min(red, green), blue))


def _above(image: Grey, floor: int) -> Grey:
    """`image - floor`, 0 where that is negative."""
    return _grey(cv2.subtract(image, np.full_like(image, floor)))


def _grey(image: object) -> Grey:
    return np.asarray(image, np.uint8)


def find_rule(overview: Pixels) -> TissueRule:
    """Background and threshold of a slide from its overview."""
    step = max(1, min(overview.shape[:2]) // RULE_PX)
    overview = np.ascontiguousarray(overview[::step, ::step])  # Every step-th pixel gives the same threshold.
    light = brightest(overview)
    scanned = light >= UNSCANNED_LEVEL
    if not scanned.any() or float(np.median(light[scanned])) < DARK_SLIDE_MEDIAN:
        rule = TissueRule("dark", float(np.percentile(light, 10)), 0.0)
    else:
        darkest = _darkest(overview)[scanned]
        rule = TissueRule("bright", max(200.0, float(np.percentile(darkest, 98))), 0.0)
    contrast = cv2.medianBlur(rule.contrast(overview), 3)
    otsu = float(cv2.threshold(contrast, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)[0])
    return TissueRule(rule.illumination, rule.background, min(max(otsu, CONTRAST_FLOOR), CONTRAST_CEILING))


def tissue_mask(overview: Pixels, rule: TissueRule) -> Mask:
    """Tissue on the overview: gaps of a pixel closed, specks of dust dropped."""
    raw = rule.mask(overview)
    window = window_around(raw, 1)
    closed = cv2.morphologyEx(raw[window].astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    count, labels, measured, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    kept = np.zeros(count, bool)
    # A speck counts by its size on the overview, but a whole slide of a few pixels is no speck.
    kept[1:] = measured[1:, cv2.CC_STAT_AREA] >= min(SPECK_PX, max(1, raw.size // 16))
    raw[window] = kept[labels]
    return raw


def window_around(mask: Mask, reach_px: int) -> Window:
    """Rows and columns, in the mask's px, of all that is set and so much around it: most of a slide is glass."""
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    rows = slice(max(0, top - reach_px), top + height + reach_px)
    return rows, slice(max(0, left - reach_px), left + width + reach_px)


def box_fractions(mask: Mask, boxes: npt.NDArray[np.int64], downsample: float) -> npt.NDArray[np.float32]:
    """Share of mask in each level-0 box (x, y, width, height), boxes widened to whole mask pixels."""
    sums = cv2.integral(mask.astype(np.uint8)).astype(np.int64)
    height, width = mask.shape
    x0 = np.clip(np.floor(boxes[:, 0] / downsample).astype(np.int64), 0, width - 1)
    y0 = np.clip(np.floor(boxes[:, 1] / downsample).astype(np.int64), 0, height - 1)
    x1 = np.clip(np.ceil((boxes[:, 0] + boxes[:, 2]) / downsample).astype(np.int64), x0 + 1, width)
    y1 = np.clip(np.ceil((boxes[:, 1] + boxes[:, 3]) / downsample).astype(np.int64), y0 + 1, height)
    inside = sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]
    return np.asarray(inside / ((x1 - x0) * (y1 - y0)), np.float32)
