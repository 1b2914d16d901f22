"""What lies on or in the tissue and is none of it: ink, and folds."""

import cv2
import numpy as np
import numpy.typing as npt

from morula.common.stain import optical_density
from morula.tiler.slide import Pixels

Mask = npt.NDArray[np.bool_]

# Ranges of hue, saturation, value. Stains in use are no saturated green or blue, and less saturated than red ink.
INKS = (
    ((36, 151, 51), (117, 255, 255)),
    ((0, 0, 0), (180, 119, 49)),
    ((173, 180, 91), (180, 255, 255)),
    ((0, 180, 91), (4, 255, 255)),
)

FOLD_SCALE_UM = 8.0  # Folds are looked for at this scale: finer shows no more of them and takes longer.
FOLD_SMOOTHING_UM = 10.0
FOLD_DENSITY = (
    1.4  # Times the slide's usual density, in every channel: cells in a crowd are dense in red and green only.
)
FOLD_WIDTH_UM = 250.0  # What is dense over more than this is a dense tissue, not a section that lies over itself.
FOLD_GAP_UM = 60.0  # A pale spot does not make a dense tissue narrow.
FOLD_LENGTH_UM = 100.0


def pen_mask(pixels: Pixels) -> Mask:
    """Marker ink."""
    colours = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
    found = np.zeros(pixels.shape[:2], np.uint8)
    for low, high in INKS:
        cv2.bitwise_or(found, np.asarray(cv2.inRange(colours, low, high), np.uint8), found)
    return found > 0


def fold_mask(overview: Pixels, tissue: Mask, um_per_px: float) -> Mask:
    """Narrow bands that are denser than the slide's tissue in every colour: there it lies over itself."""
    if not tissue.any() or 3 * um_per_px > FOLD_WIDTH_UM:
        return np.zeros_like(tissue)
    step = max(1, round(FOLD_SCALE_UM / um_per_px))
    if step > 1 and min(tissue.shape) >= step:
        size = (tissue.shape[1] // step, tissue.shape[0] // step)
        small = np.asarray(cv2.resize(overview, size, interpolation=cv2.INTER_AREA), np.uint8)
        covered = cv2.resize(tissue.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        found = fold_mask(small, covered, um_per_px * step).astype(np.uint8)
        return cv2.resize(found, tissue.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    density = cv2.GaussianBlur(optical_density(overview), (0, 0), max(0.5, FOLD_SMOOTHING_UM / um_per_px))
    usual = np.median(density[tissue], axis=0)
    dense = tissue & ~pen_mask(overview) & (density > FOLD_DENSITY * usual).all(axis=2)
    narrow = dense.astype(np.uint8)
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_odd(FOLD_WIDTH_UM / um_per_px),) * 2)
    filled = cv2.morphologyEx(narrow, cv2.MORPH_CLOSE, np.ones((_odd(FOLD_GAP_UM / um_per_px),) * 2, np.uint8))
    narrow[cv2.morphologyEx(filled, cv2.MORPH_OPEN, disk) > 0] = 0
    count, labels, measured, _ = cv2.connectedComponentsWithStats(narrow, connectivity=8)
    lengths = measured[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1) * um_per_px
    long = (lengths >= FOLD_LENGTH_UM) & (np.arange(count) > 0)
    return np.asarray(long[labels])


def _odd(length: float) -> int:
    return 2 * int(length / 2) + 1
