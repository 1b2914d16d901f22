"""What lies on or in the tissue and is none of it: ink, and folds."""

import math

import cv2
import numpy as np
import numpy.typing as npt

from morula.common.stain import optical_density
from morula.tiler.core import blocks
from morula.tiler.slide import Pixels

Mask = npt.NDArray[np.bool_]
Layer = npt.NDArray[np.float32]

# Ranges of hue, saturation, value. Stains in use are no saturated green or blue, and less saturated than red ink.
INKS = (
    ((36, 151, 51), (117, 255, 255)),
    ((0, 0, 0), (180, 119, 49)),
    ((173, 180, 91), (180, 255, 255)),
    ((0, 180, 91), (4, 255, 255)),
)

FOLD_SCALE_UM = 12.0  # Folds are looked for at this scale: finer shows hardly more of them and takes longer.
FOLD_BLOCK_PX = 256
# Densities are means along a line, over which nuclei and fibres even out, and across it over half a fold.
LINE_LENGTH_UM = 72.0
LINE_SIGMA_UM = 10.0
LINE_DIRECTIONS = 6
LINE_TISSUE = 0.6  # So much of a line lies on tissue, and half of the lines beside it.
BESIDE_TISSUE = 0.5
FOLD_REACHES_UM = (56.0, 100.0)  # Where the sides are looked for. Epidermis has tissue on one side only.
# Times the density on both sides, in every colour (crowded cells are dense in two): of a fold, and somewhere in it.
FOLD_RATIO = 1.3
CERTAIN_RATIO = 1.5
CERTAIN_SHARE = 0.25
# Where so much of the tissue around is such bands, they are its texture: nests of a tumour, crowded glands.
TEXTURE_SHARE = 0.15
AROUND_UM = 1000.0
FOLD_DENSITY = 0.12  # Mean of the colours beyond that of glass; below it a ratio says nothing.
DENSITY_ERROR = 0.02  # Of the glass and of noise, which would make a ratio of hardly any red.
FOLD_LENGTH_UM = 120.0
FOLD_SLENDERNESS = 4.0  # Length by width: nests of a tumour in its stroma are round.
INK_SOFTNESS_UM = 18.0  # Ink is out of focus: its edge looks like denser tissue.


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
    if not tissue.any() or 2 * um_per_px > FOLD_REACHES_UM[0] or not all(size):
        return np.zeros_like(tissue)
    small = np.asarray(cv2.resize(overview, size, interpolation=cv2.INTER_AREA), np.uint8)
    covered = np.asarray(cv2.resize(tissue.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32)
    found = _bands(_layers(small, covered, um_per_px * step), um_per_px * step)
    return cv2.resize(found.astype(np.uint8), tissue.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0


def _layers(pixels: Pixels, tissue: Layer, um_per_px: float) -> list[Layer]:
    """Density beyond that of glass of red, green and blue where tissue is and no ink, and the share of such tissue."""
    glass = np.percentile(pixels[::4, ::4].reshape(-1, 3), 98, axis=0).astype(np.uint8)
    density = np.maximum(optical_density(pixels) - optical_density(glass.reshape(1, 1, 3)), 0)
    side = 2 * round(INK_SOFTNESS_UM / um_per_px) + 1
    ink = cv2.dilate(pen_mask(pixels).astype(np.uint8), np.ones((side, side), np.uint8))
    share = np.where(np.asarray(ink) > 0, np.float32(0), tissue)
    sigma = max(0.6, LINE_SIGMA_UM / um_per_px)
    layers = (*(plane * share for plane in cv2.split(density)), share)
    return [np.asarray(cv2.GaussianBlur(layer, (0, 0), sigma), np.float32) for layer in layers]


def _bands(layers: list[Layer], um_per_px: float) -> Mask:
    """Folds, block by block: most of a slide is glass."""
    height, width = layers[0].shape
    ratio = np.zeros((height, width), np.float32)
    margin = math.ceil((FOLD_REACHES_UM[-1] + LINE_LENGTH_UM) / um_per_px)
    padded = [np.pad(layer, margin) for layer in layers]
    for x, y, wide, tall in blocks((width, height), FOLD_BLOCK_PX):
        if layers[3][y : y + tall, x : x + wide].max() > LINE_TISSUE:
            around = [layer[y : y + tall + 2 * margin, x : x + wide + 2 * margin] for layer in padded]
            ratio[y : y + tall, x : x + wide] = _ratio(around, margin, um_per_px)
    found = (ratio > FOLD_RATIO).astype(np.uint8)
    count, labels, measured, _ = cv2.connectedComponentsWithStats(found, connectivity=8)
    lengths = np.hypot(measured[:, cv2.CC_STAT_WIDTH], measured[:, cv2.CC_STAT_HEIGHT]) * um_per_px
    areas = measured[:, cv2.CC_STAT_AREA]
    certain = np.bincount(labels[ratio > CERTAIN_RATIO], minlength=count) / areas
    share = _share_around(found, layers[3], um_per_px)
    usual = np.bincount(labels.ravel(), weights=share.ravel(), minlength=count) / areas > TEXTURE_SHARE
    slender = lengths**2 >= FOLD_SLENDERNESS * areas * um_per_px**2
    folds = (lengths >= FOLD_LENGTH_UM) & slender & (certain >= CERTAIN_SHARE) & ~usual & (np.arange(count) > 0)
    return np.asarray(folds[labels])


def _share_around(found: npt.NDArray[np.uint8], tissue: Layer, um_per_px: float) -> Layer:
    """How much of the tissue around each place was found."""
    side = (2 * round(AROUND_UM / um_per_px / 2) + 1,) * 2
    bands, around = (cv2.blur(image, side) for image in (found.astype(np.float32), tissue))
    return np.asarray(bands / np.maximum(around, 1e-3), np.float32)


def _ratio(layers: list[Layer], margin: int, um_per_px: float) -> Layer:
    """How much denser, in the colour that says least, a line is than those on both of its sides; of all directions."""
    height, width = (side - 2 * margin for side in layers[0].shape)

    def moved(image: Layer, x: float, y: float) -> Layer:
        top, left = margin + round(y), margin + round(x)
        return image[top : top + height, left : left + width]

    best = np.zeros((height, width), np.float32)
    for number in range(LINE_DIRECTIONS):
        angle = math.pi * number / LINE_DIRECTIONS
        line = _line(angle, um_per_px)
        *colours, share = (np.asarray(cv2.filter2D(layer, -1, line), np.float32) for layer in layers)
        tissue = np.maximum(share, 1e-3)
        density = [np.asarray(colour / tissue + DENSITY_ERROR, np.float32) for colour in colours]
        own = [moved(colour, 0, 0) for colour in density]
        is_line = (moved(share, 0, 0) > LINE_TISSUE) & (sum(own) > 3 * (FOLD_DENSITY + DENSITY_ERROR))
        least = np.where(is_line, np.float32(np.inf), np.float32(0))
        for sign in (1, -1):
            beside = np.zeros_like(best)
            for reach_px in (sign * reach_um / um_per_px for reach_um in FOLD_REACHES_UM):
                place = (-reach_px * math.sin(angle), reach_px * math.cos(angle))
                ratios = [one / moved(colour, *place) for one, colour in zip(own, density, strict=True)]
                ratio = np.minimum(np.minimum(*ratios[:2]), ratios[2])
                np.maximum(beside, ratio * (moved(share, *place) > BESIDE_TISSUE), out=beside)
            np.minimum(least, beside, out=least)
        np.maximum(best, least, out=best)
    return best


def _line(angle: float, um_per_px: float) -> Layer:
    """Weights of the pixels along a line through the middle, which sum to one."""
    reach = max(1, round(LINE_LENGTH_UM / um_per_px / 2))
    weights = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    for step in range(-reach, reach + 1):
        weights[reach + round(step * math.sin(angle)), reach + round(step * math.cos(angle))] = 1
    return np.asarray(weights / weights.sum(), np.float32)
