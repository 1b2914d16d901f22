"""The classical segmenter: haematoxylin density, a local threshold, seeds from distance and density, watershed.

Nothing is learned and nothing is looked up: it is the floor that a network must beat, and it runs everywhere. On a
dark background (fluorescence) brightness takes the place of density. All lengths are in microns.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import watershed

from morula.common.blur import blurred
from morula.common.compute import Checkpoint, go_on
from morula.common.densities import optical_density, unmix
from morula.segmenter.instances import Calibration, Instances, Wanted

Image = NDArray[np.float32]

# Lengths are for nuclei of this diameter, and grow with the one that is wanted.
_DIAMETER_UM = 8.0
_MIN_AREA_UM2 = 10.0
_LARGEST_HOLE_UM2 = 20.0
_SMOOTHING_UM = 0.42
_WINDOW_UM = 14.0
_OPENING_UM = 0.8
_SEED_SMOOTHING_UM = 0.9
# A nucleus's summit is the highest within this distance.
_SEED_REACH_UM = 1.5
# Below this mean optical density there is glass, which says nothing about the tissue around it.
_GLASS_OD = 0.06
# Chromatin darker than tissue by this much is nucleus anyhow, and must not raise the threshold for paler ones.
_SATURATED_OD = 0.5
# Where the threshold lies between tissue (0) and nuclei (1) of the window, and its least height above tissue.
_THRESHOLD = 0.54
_LEAST_CONTRAST_OD = 0.07
_LEAST_MEAN_CONTRAST_OD = 0.1
# A gap between crowded nuclei is darker than tissue, and paler than its surroundings at this scale.
_CROWD_UM = 3.2
_GAP_OD = 0.012
# Light through a slide leaves every channel bright somewhere and one of them never quite dark; fluorescence does not.
_BRIGHT = 100.0
_DARK = 16.0


def segment(pixels: NDArray[np.uint8], mpp: float, wanted: Wanted, _checkpoint: Checkpoint = go_on, /) -> Instances:
    """Nuclei of an RGB image."""
    scale = (wanted.diameter_um or _DIAMETER_UM) / _DIAMETER_UM
    unit = scale / mpp
    signal, tissue = _signal(pixels, wanted.calibration)
    smooth = blurred(signal, _SMOOTHING_UM * unit)
    background, _ = _levels(smooth, tissue, _WINDOW_UM * unit)
    smooth = np.minimum(smooth, background + _SATURATED_OD)
    background, nuclei = _levels(smooth, tissue, _WINDOW_UM * unit)
    contrast = smooth - background
    mask = (contrast > np.maximum(_THRESHOLD * (nuclei - background), _LEAST_CONTRAST_OD)) & tissue
    mask &= smooth > blurred(smooth, _CROWD_UM * unit) - _GAP_OD
    del signal, tissue, smooth, background, nuclei  # Regions lie beside each other, and each is large.
    labels = _split(_cleaned(mask, unit), unit)

    area_um2 = np.bincount(labels.ravel()) * mpp * mpp
    mean_contrast = np.bincount(labels.ravel(), contrast.ravel()) * mpp * mpp / np.maximum(area_um2, mpp * mpp)
    least_um2 = wanted.min_area_um2 or _MIN_AREA_UM2 * scale * scale
    kept = np.flatnonzero((area_um2 >= least_um2) & (mean_contrast >= _LEAST_MEAN_CONTRAST_OD))
    kept = kept[kept > 0]
    number = np.zeros(area_um2.size, np.int32)
    number[kept] = np.arange(1, kept.size + 1)
    return Instances(number[labels], np.minimum(mean_contrast[kept] / _SATURATED_OD, 1).astype(np.float32))


def _signal(pixels: NDArray[np.uint8], calibration: Calibration) -> tuple[Image, NDArray[np.bool_]]:
    """What is high in nuclei, and where tissue is: density of haematoxylin where it is not glass.

    On a dark background, brightness over the slide's range, and tissue is everywhere.
    """
    if _is_dark(calibration):
        low, high = max(calibration.low), max(calibration.high)
        brightness = pixels.max(axis=2).astype(np.float32)
        return np.clip((brightness - low) / max(high - low, 1.0), 0, 1), np.ones(brightness.shape, bool)
    density = optical_density(pixels)
    # Copied, because a view would keep the other stains.
    haematoxylin: Image = np.ascontiguousarray(unmix(density, calibration.stain_matrix)[..., 0])
    return haematoxylin, cv2.blur(density.mean(axis=2), (3, 3)) > _GLASS_OD


def _is_dark(calibration: Calibration) -> bool:
    known = len(calibration.low) > 0 and len(calibration.high) > 0
    return known and (min(calibration.high) < _BRIGHT or max(calibration.low) < _DARK)


def _levels(smooth: Image, tissue: NDArray[np.bool_], sigma: float) -> tuple[Image, Image]:
    """Around each pixel, over tissue: the mean of what is below the local mean, and of what is above."""
    weight = tissue.astype(np.float32)
    total = np.maximum(blurred(weight, sigma), 1e-3)
    mean_sum = blurred(smooth * weight, sigma)
    # By more than rounding: one colour has nothing above its mean.
    weight *= smooth > mean_sum / total + 1e-3
    share, above_sum = blurred(weight, sigma), blurred(np.multiply(smooth, weight, out=weight), sigma)
    background = np.subtract(mean_sum, above_sum, out=mean_sum)
    background /= np.maximum(np.subtract(total, share, out=total), 1e-3, out=total)
    nuclei = np.divide(above_sum, np.maximum(share, 1e-3, out=share), out=above_sum)
    return background, np.maximum(nuclei, background, out=nuclei)


def _cleaned(mask: NDArray[np.bool_], unit: float) -> NDArray[np.bool_]:
    """Without threads and specks, and without the holes that pale chromatin leaves."""
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, _disc(_OPENING_UM * unit))
    _, holes, stats, _ = cv2.connectedComponentsWithStats(1 - opened, connectivity=4)
    filled = stats[:, cv2.CC_STAT_AREA] < _LARGEST_HOLE_UM2 * unit * unit
    filled[0] = True
    return filled[holes]  # type: ignore[no-any-return]


def _split(mask: NDArray[np.bool_], unit: float) -> NDArray[np.int32]:
    """Touching nuclei apart: every summit of the distance to the edge is one."""
    # Where there is no edge at all, the distance to it is not infinite but the image's side.
    distance = np.minimum(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5), max(mask.shape)) / unit
    height = blurred(distance, _SEED_SMOOTHING_UM * unit)
    summits = (height >= cv2.dilate(height, _disc(_SEED_REACH_UM * unit))) & mask
    _, seeds = cv2.connectedComponents(summits.astype(np.uint8), connectivity=8)
    labels: NDArray[np.int32] = watershed(-height, seeds, mask=mask)  # type: ignore[no-untyped-call]
    return labels


def _disc(radius: float) -> NDArray[np.uint8]:
    reach = np.arange(-np.ceil(radius), np.ceil(radius) + 1)
    return np.asarray(np.add.outer(reach**2, reach**2) <= radius * radius + 0.5, np.uint8)
