"""What lies on or in the tissue and is none of it: ink, and folds."""

import math
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from morula.common.densities import optical_density
from morula.tiler.core import blocks
from morula.tiler.lines import LAYER_COUNT, Layers, Places, raise_ratio
from morula.tiler.planes import mark_ink
from morula.tiler.slide import Pixels
from morula.tiler.tissue import Window, window_around

Mask = npt.NDArray[np.bool_]
Layer = npt.NDArray[np.float32]

LEVELS = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(256, 1, 3)

# Ranges of hue, saturation, value. Stains in use are no saturated green or blue, and less saturated than red ink.
INKS = np.array(
    [
        ((36, 151, 51), (117, 255, 255)),
        ((0, 0, 0), (180, 119, 49)),
        ((173, 180, 91), (180, 255, 255)),
        ((0, 180, 91), (4, 255, 255)),
    ]
)

FOLD_SCALE_UM = 12.0  # Folds are looked for at this scale: finer shows hardly more of them and takes longer.
FOLD_BLOCK_PX = 256
# Densities are means along a line, over which nuclei and fibres even out, and across it over half a fold.
LINE_LENGTH_UM = 72.0
LINE_SIGMA_UM = 10.0
BLUR_SIGMAS = 4  # So far do the weights of OpenCV's blur go.
LINE_DIRECTIONS = 6
LINE_TISSUE = 0.6  # So much of a line lies on tissue, and half of the lines beside it.
BESIDE_TISSUE = 0.5
FOLD_REACHES_UM = (56.0, 100.0)  # Where the sides are looked for. Epidermis has tissue on one side only.
# Times the density on both sides, in every colour (crowded cells are dense in two): of a fold, and somewhere in it.
FOLD_RATIO = 1.3
CERTAIN_RATIO = 1.5
CERTAIN_SHARE = 0.25
# Bands that cover more of the tissue around them are its texture: nests of a tumour, crowded glands.
TEXTURE_SHARE = 0.15
AROUND_UM = 1000.0
FOLD_DENSITY = 0.12  # Mean of the colours beyond that of glass; below it a ratio says nothing.
DENSITY_ERROR = 0.02  # Error of glass and noise: without it, ratios of tiny red densities would mean nothing.
FOLD_LENGTH_UM = 120.0
FOLD_SLENDERNESS = 4.0  # Length by width: nests of a tumour in its stroma are round.
INK_SOFTNESS_UM = 18.0  # Ink is out of focus: its edge looks like denser tissue.


def pen_mask(pixels: Pixels) -> Mask:
    """Marker ink."""
    return mark_ink(np.ascontiguousarray(pixels), INKS)


def fold_mask(overview: Pixels, tissue: Mask, um_per_px: float) -> Mask:
    """Long narrow bands that are denser than the tissue on both sides in every colour: there it lies over itself."""
    step = max(1, round(FOLD_SCALE_UM / um_per_px))
    size = (tissue.shape[1] // step, tissue.shape[0] // step)
    if not tissue.any() or 2 * um_per_px > FOLD_REACHES_UM[0] or not all(size):
        return np.zeros_like(tissue)
    small = np.asarray(cv2.resize(overview, size, interpolation=cv2.INTER_AREA), np.uint8)
    covered = np.asarray(cv2.resize(tissue.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32)
    glass = np.percentile(small[::4, ::4].reshape(-1, 3), 98, axis=0).astype(np.uint8)
    # This margin is wider than the reach of the densities' blur.
    window = window_around(covered > 0, math.ceil(AROUND_UM / 2 / um_per_px / step) + 1)
    folds = np.zeros(covered.shape, bool)
    folds[window] = _bands(_layers(small[window], covered[window], glass, um_per_px * step), um_per_px * step)
    return cv2.resize(folds.astype(np.uint8), tissue.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0


def _margin(um_per_px: float) -> int:
    """How far beyond a pixel the lines beside it reach."""
    return math.ceil((FOLD_REACHES_UM[-1] + LINE_LENGTH_UM) / um_per_px)


def _layers(pixels: Pixels, tissue: Layer, glass: Pixels, um_per_px: float) -> Layers:
    """Density beyond that of glass of red, green and blue where tissue is and no ink, and the share of such tissue.

    Around them is a margin of nothing for the lines at their edge.
    """
    density = np.maximum(optical_density(LEVELS) - optical_density(glass.reshape(1, 1, 3)), 0)
    softness = round(INK_SOFTNESS_UM / um_per_px)
    soft = np.ones((2 * softness + 1,) * 2, np.uint8)
    sigma = max(0.6, LINE_SIGMA_UM / um_per_px)

    def share_of(window: Window) -> Layer:
        ink = cv2.dilate(pen_mask(pixels[window]).astype(np.uint8), soft)
        return np.where(np.asarray(ink) > 0, np.float32(0), tissue[window])

    def colours_of(window: Window) -> Layers:
        planes = cv2.split(cv2.LUT(pixels[window], density))
        return np.stack([cv2.GaussianBlur(plane * share[window], (0, 0), sigma) for plane in planes])

    share = np.zeros_like(tissue)
    _fill(share, tissue, softness, share_of)
    margin = _margin(um_per_px)
    layers = np.zeros((LAYER_COUNT, *(side + 2 * margin for side in tissue.shape)), np.float32)
    inner = layers[:, margin:-margin, margin:-margin]
    inner[-1] = cv2.GaussianBlur(share, (0, 0), sigma)
    _fill(inner[:-1], inner[-1], math.ceil(BLUR_SIGMAS * sigma) + 1, colours_of)
    return layers


def _fill(out: Layer, where: Layer, reach_px: int, values: Callable[[Window], Layer]) -> None:
    """What `values` makes of each block and so much around it, where there is anything: most of a slide is glass."""
    for x, y, wide, tall in blocks(where.shape[::-1], FOLD_BLOCK_PX):
        if where[y : y + tall, x : x + wide].any():
            left, top = max(0, x - reach_px), max(0, y - reach_px)
            part = values((slice(top, y + tall + reach_px), slice(left, x + wide + reach_px)))
            out[..., y : y + tall, x : x + wide] = part[..., y - top :, x - left :][..., :tall, :wide]


def _bands(layers: Layers, um_per_px: float) -> Mask:
    """Folds: of all that is denser than its sides, what is long, slender, certain and no texture."""
    ratio = _ratio(layers, um_per_px)
    dense = (ratio > FOLD_RATIO).astype(np.uint8)
    count, labels, measured, _ = cv2.connectedComponentsWithStats(dense, connectivity=8)
    lengths = np.hypot(measured[:, cv2.CC_STAT_WIDTH], measured[:, cv2.CC_STAT_HEIGHT]) * um_per_px
    areas = measured[:, cv2.CC_STAT_AREA]
    places = np.flatnonzero(dense)
    bands = labels.ravel()[places]
    certain = np.bincount(bands[ratio.ravel()[places] > CERTAIN_RATIO], minlength=count) / areas
    margin = _margin(um_per_px)
    share = _share_around(dense, layers[-1, margin:-margin, margin:-margin], places, um_per_px)
    usual = np.bincount(bands, weights=share, minlength=count) / areas > TEXTURE_SHARE
    slender = lengths**2 >= FOLD_SLENDERNESS * areas * um_per_px**2
    folds = (lengths >= FOLD_LENGTH_UM) & slender & (certain >= CERTAIN_SHARE) & ~usual
    mask = np.zeros(dense.shape, bool)
    mask.ravel()[places] = folds[bands]
    return mask


def _share_around(dense: npt.NDArray[np.uint8], tissue: Layer, places: Places, um_per_px: float) -> Layer:
    """How much of the tissue around each of these places was found."""
    side = (2 * round(AROUND_UM / um_per_px / 2) + 1,) * 2
    bands, around = (np.asarray(cv2.blur(image, side)).ravel()[places] for image in (dense.astype(np.float32), tissue))
    return np.asarray(bands / np.maximum(around, 1e-3), np.float32)


def _ratio(layers: Layers, um_per_px: float) -> Layer:
    """How much denser, in the colour that says least, a line is than those on both of its sides; of all directions."""
    margin = _margin(um_per_px)
    tissue = layers[-1, margin:-margin, margin:-margin]
    ratio = np.zeros(tissue.shape, np.float32)
    angles = [math.pi * number / LINE_DIRECTIONS for number in range(LINE_DIRECTIONS)]
    lines = [(_line(angle, um_per_px), _sides(angle, um_per_px)) for angle in angles]
    bounds = np.array((LINE_TISSUE, BESIDE_TISSUE, 3 * (FOLD_DENSITY + DENSITY_ERROR), DENSITY_ERROR), np.float32)
    means = np.empty((FOLD_BLOCK_PX + 2 * margin, LAYER_COUNT, FOLD_BLOCK_PX + 2 * margin), np.float32)
    for x, y, wide, tall in blocks(tissue.shape[::-1], FOLD_BLOCK_PX):
        left, top, width, height = cv2.boundingRect((tissue[y : y + tall, x : x + wide] > LINE_TISSUE).view(np.uint8))
        block = np.array(((y + top, x + left), (height, width)))
        for line, sides in lines if height else ():
            raise_ratio(ratio, layers, block, line, sides, bounds, means)
    return ratio


def _sides(angle: float, um_per_px: float) -> Places:
    """Where the lines beside one are looked for: on its one side, then on its other."""
    reaches = [sign * reach_um / um_per_px for sign in (1, -1) for reach_um in FOLD_REACHES_UM]
    return np.array([(round(reach * math.cos(angle)), round(-reach * math.sin(angle))) for reach in reaches], np.int64)


def _line(angle: float, um_per_px: float) -> Places:
    """The pixels along a line, from its middle, each of them once."""
    reach = max(1, round(LINE_LENGTH_UM / um_per_px / 2))
    steps = range(-reach, reach + 1)
    return np.array(
        sorted({(round(step * math.sin(angle)), round(step * math.cos(angle))) for step in steps}), np.int64
    )
