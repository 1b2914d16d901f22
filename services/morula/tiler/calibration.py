"""What a slide-wide look finds once and every shard uses: percentiles of colour, and the slide's own stains."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from morula.common.stain import FIXED_STAIN_MATRIX, optical_density
from morula.tiler.slide import Pixels

Vectors = npt.NDArray[np.float64]

MIN_DENSITY = 0.1  # Decadic, mean of the channels: paler pixels are background and carry no hue.
MIN_STAINED_PIXELS = 2000
MIN_LIKENESS = 0.85  # Cosine to the fixed stains: a slide's own stains are turned, never swapped for others.
MIN_ANGLE_RAD = math.radians(8)


@dataclass(frozen=True)
class Calibration:
    """1st and 99th percentile of red, green, blue over tissue; stains as rows haematoxylin and eosin, flattened."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    stain_matrix: tuple[float, ...]
    stain_assumed: bool


def calibrate(tissue: Pixels) -> Calibration:
    """From sampled tissue pixels (n x 3); without any, the whole range and the fixed stains."""
    if not len(tissue):
        return Calibration((0.0,) * 3, (255.0,) * 3, FIXED_STAIN_MATRIX, stain_assumed=True)
    stains = find_stains(tissue)
    low, high = np.percentile(tissue, [1, 99], axis=0)
    return Calibration(
        low=tuple(map(float, low)),
        high=tuple(map(float, high)),
        stain_matrix=FIXED_STAIN_MATRIX if stains is None else tuple(map(float, stains.ravel())),
        stain_assumed=stains is None,
    )


def find_stains(tissue: Pixels) -> Vectors | None:
    """Macenko's haematoxylin and eosin (2009), or None where they make no sense."""
    density = optical_density(tissue.reshape(-1, 1, 3)).reshape(-1, 3).astype(np.float64)
    # By their mean: eosin takes away hardly any red, and who asks for some of each sees it tinted with haematoxylin.
    stained = density[density.mean(axis=1) > MIN_DENSITY]
    if len(stained) < MIN_STAINED_PIXELS:
        return None
    plane = np.linalg.eigh(np.cov(stained, rowvar=False))[1][:, [2, 1]]
    plane *= np.where(plane.sum(axis=0) < 0, -1.0, 1.0)
    angles = np.arctan2(stained @ plane[:, 1], stained @ plane[:, 0])
    extremes = np.percentile(angles, [1, 99])
    stains = np.clip(np.stack([np.cos(extremes), np.sin(extremes)], axis=1) @ plane.T, 0.0, None)
    stains = stains[np.argsort(-stains[:, 0])]  # Haematoxylin is blue: it takes away more red than eosin does.
    lengths = np.linalg.norm(stains, axis=1, keepdims=True)
    if not (lengths > 0).all():
        return None
    stains = (stains / lengths).round(6)
    return stains if _sensible(stains) else None


def _sensible(stains: Vectors) -> bool:
    likeness = (stains * np.reshape(FIXED_STAIN_MATRIX, (2, 3))).sum(axis=1)
    between = math.acos(min(1.0, float(stains[0] @ stains[1])))
    return bool((likeness >= MIN_LIKENESS).all()) and between >= MIN_ANGLE_RAD
