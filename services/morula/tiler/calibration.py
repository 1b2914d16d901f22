"""What a slide-wide look finds once and every shard uses: percentiles of colour, and the slide's own stains."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from morula.common.densities import optical_density
from morula.common.stain import Stain, fixed_matrix
from morula.tiler.slide import Pixels
from morula.tiler.tissue import Illumination

Vectors = npt.NDArray[np.float64]

MIN_DENSITY = 0.1  # Decadic, mean of the channels: paler pixels are background and carry no hue.
MIN_STAINED_PIXELS = 2000
MIN_LIKENESS = 0.85  # Cosine to the fixed stains: a slide's own stains are turned, never swapped for others.
MIN_ANGLE_RAD = math.radians(8)
# Eosin takes away far more green than red or blue, DAB more blue than green, and haematoxylin neither. In 151 of 154
# fields of H&E at least 2 % of the stained pixels are pink, in one of haematoxylin and DAB none. Where glass is yellow
# all that is pale is brown, and so are red cells, beside which there is pink.
PINK_RATIOS = (1.5, 1.2)
BROWN_RATIO = 1.1
BROWN_DENSITY = 0.25
CERTAIN_PINK = 0.02
NO_PINK = 0.005
CERTAIN_BROWN = 0.003


@dataclass(frozen=True)
class Calibration:
    """1st and 99th percentile of red, green, blue over tissue; stains as rows haematoxylin and eosin (of IHC: and DAB),
    flattened."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    stain_matrix: tuple[float, ...]
    stain_assumed: bool
    stain: Stain | None = None
    """What the slide is stained with, as the caller knows it."""


def calibrate(tissue: Pixels, stain: Stain | None = None) -> Calibration:
    """From sampled tissue pixels (n x 3); without any, the whole range and the fixed stains."""
    usual = fixed_matrix(stain)
    if not len(tissue):
        return Calibration((0.0,) * 3, (255.0,) * 3, usual, stain_assumed=True, stain=stain)
    stains = find_stains(tissue, usual)
    low, high = np.percentile(tissue, [1, 99], axis=0)
    return Calibration(
        low=tuple(map(float, low)),
        high=tuple(map(float, high)),
        stain_matrix=usual if stains is None else tuple(map(float, stains.ravel())),
        stain_assumed=stains is None,
        stain=stain,
    )


def recognise(tissue: Pixels, illumination: Illumination) -> Stain | None:
    """What the colours of sampled tissue (n x 3) say that it is stained with; None where they do not tell.

    Colours tell no more than this: another stain in blue and pink counts as haematoxylin and eosin, and one in blue
    and brown as haematoxylin and DAB.
    """
    if len(tissue) < MIN_STAINED_PIXELS:
        return None
    if illumination == "dark":
        return "fluorescence"
    density = _stained(tissue)
    if len(density) < MIN_STAINED_PIXELS:
        return None
    red, green, blue = density.T
    pink = float(np.mean((green > PINK_RATIOS[0] * red) & (green > PINK_RATIOS[1] * blue)))
    brown = float(np.mean((blue > BROWN_RATIO * green) & (density.mean(axis=1) > BROWN_DENSITY)))
    if pink >= CERTAIN_PINK:
        return "H&E"
    return "IHC" if brown >= CERTAIN_BROWN and pink <= NO_PINK else None


def _stained(tissue: Pixels) -> Vectors:
    """Optical densities (n x 3) of those pixels that are dense enough to have a hue."""
    density = optical_density(tissue.reshape(-1, 1, 3)).reshape(-1, 3).astype(np.float64)
    # By their mean: eosin takes away hardly any red, and who asks for some of each sees it tinted with haematoxylin.
    dense: Vectors = density[density.mean(axis=1) > MIN_DENSITY]
    return dense


def find_stains(tissue: Pixels, usual: tuple[float, ...]) -> Vectors | None:
    """Macenko's two stains (2009), haematoxylin first; None where they are not like the usual ones."""
    stained = _stained(tissue)
    if len(stained) < MIN_STAINED_PIXELS:
        return None
    plane = np.linalg.eigh(np.cov(stained, rowvar=False))[1][:, [2, 1]]
    plane *= np.where(plane.sum(axis=0) < 0, -1.0, 1.0)
    angles = np.arctan2(stained @ plane[:, 1], stained @ plane[:, 0])
    extremes = np.percentile(angles, [1, 99])
    stains = np.clip(np.stack([np.cos(extremes), np.sin(extremes)], axis=1) @ plane.T, 0.0, None)
    stains = stains[np.argsort(-stains[:, 0])]  # Haematoxylin is blue: it takes away more red than others do.
    lengths = np.linalg.norm(stains, axis=1, keepdims=True)
    if not (lengths > 0).all():
        return None
    stains = (stains / lengths).round(6)
    return stains if _sensible(stains, usual) else None


def _sensible(stains: Vectors, usual: tuple[float, ...]) -> bool:
    likeness = (stains * np.reshape(usual, (2, 3))).sum(axis=1)
    between = math.acos(min(1.0, float(stains[0] @ stains[1])))
    return bool((likeness >= MIN_LIKENESS).all()) and between >= MIN_ANGLE_RAD
