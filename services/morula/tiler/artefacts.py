"""What lies on or in the tissue and is none of it: ink, and folds."""

from typing import Any

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
FOLD_DENSITY = 1.35  # Times that of the tissue on both sides, in every channel: crowded cells are dense in two.
FOLD_REACH_UM = 100.0  # Where the sides are looked for. Epidermis has tissue on one side only.
FOLD_LENGTH_UM = 100.0
DIRECTIONS = ((1.0, 0.0), (0.7, 0.7), (0.0, 1.0), (-0.7, 0.7))


def pen_mask(pixels: Pixels) -> Mask:
    """Marker ink."""
    colours = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
    found = np.zeros(pixels.shape[:2], np.uint8)
    for low, high in INKS:
        cv2.bitwise_or(found, np.asarray(cv2.inRange(colours, low, high), np.uint8), found)
    return found > 0


def fold_mask(overview: Pixels, tissue: Mask, um_per_px: float) -> Mask:
    """Long narrow bands that are denser than the tissue on both sides in every colour: there it lies over itself."""
    step = max(1, round(FOLD_SCALE_UM / um_per_px))
    size = (tissue.shape[1] // step, tissue.shape[0] // step)
    if not tissue.any() or 2 * um_per_px > FOLD_REACH_UM or not all(size):
        return np.zeros_like(tissue)
    small = np.asarray(cv2.resize(overview, size, interpolation=cv2.INTER_AREA), np.uint8)
    covered = np.asarray(cv2.resize(tissue.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST), np.uint8)
    found = _bands(small, covered, um_per_px * step).astype(np.uint8)
    return cv2.resize(found, tissue.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0


def _bands(pixels: Pixels, tissue: npt.NDArray[np.uint8], um_per_px: float) -> Mask:
    smooth = cv2.GaussianBlur(optical_density(pixels), (0, 0), max(0.5, FOLD_SMOOTHING_UM / um_per_px))
    usual = np.median(smooth[tissue > 0], axis=0)
    dense = (tissue > 0) & ~pen_mask(pixels) & (smooth > usual).all(axis=2)
    ridge = np.zeros_like(dense)
    for x, y in DIRECTIONS:
        beside = np.ones_like(dense)
        for sign in (1, -1):
            move = (sign * round(x * FOLD_REACH_UM / um_per_px), sign * round(y * FOLD_REACH_UM / um_per_px))
            beside &= (_moved(tissue, *move) > 0) & (smooth > FOLD_DENSITY * _moved(smooth, *move)).all(axis=2)
        ridge |= beside
    count, labels, measured, _ = cv2.connectedComponentsWithStats((dense & ridge).astype(np.uint8), connectivity=8)
    lengths = measured[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1) * um_per_px
    long = (lengths >= FOLD_LENGTH_UM) & (np.arange(count) > 0)
    return np.asarray(long[labels])


def _moved(image: npt.NDArray[Any], x: int, y: int) -> npt.NDArray[Any]:
    """The image pushed by whole pixels, 0 where it leaves."""
    shift = np.array([[1.0, 0.0, x], [0.0, 1.0, y]])
    return np.asarray(cv2.warpAffine(image, shift, image.shape[1::-1], flags=cv2.INTER_NEAREST))
