"""The classical segmenter: haematoxylin density, a local threshold, seeds from distance and density, watershed.

Nothing is learned and nothing is looked up: it is the floor that a network must beat, and it runs everywhere. On a
dark background (fluorescence) brightness takes the place of density. All lengths are in microns.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.morphology import reconstruction
from skimage.segmentation import watershed

from morula.common.compute import Checkpoint
from morula.common.stain import optical_density, unmix
from morula.segmenter.instances import Calibration, Instances, Wanted, unstoppable

Image = NDArray[np.float32]

# Lengths are for nuclei of this diameter, and grow with the one that is wanted.
_DIAMETER_UM = 8.0
_MIN_AREA_UM2 = 10.0
_LARGEST_HOLE_UM2 = 20.0
_SMOOTHING_UM = 0.32
_WINDOW_UM = 18.5
_OPENING_UM = 1.34
_SEED_SMOOTHING_UM = 1.0
# How far a nucleus's summit stands above the saddle to the next one, in microns of distance to its edge.
_SEED_HEIGHT_UM = 0.07
# Below this mean optical density there is glass, which says nothing about the tissue around it.
_GLASS_OD = 0.06
# Chromatin darker than tissue by this much is nucleus anyhow, and must not raise the threshold for paler ones.
_SATURATED_OD = 0.4
# Where the threshold lies between tissue (0) and nuclei (1) of the window, and its least height above tissue.
_THRESHOLD = 0.58
_LEAST_CONTRAST_OD = 0.08
_LEAST_MEAN_CONTRAST_OD = 0.13
# Fluorescence: the 1st percentile of an H&E slide's tissue is never as dark.
_DARK = 16.0


def segment(
    pixels: NDArray[np.uint8], mpp: float, wanted: Wanted, _checkpoint: Checkpoint = unstoppable, /
) -> Instances:
    """Nuclei of an RGB image."""
    scale = (wanted.diameter_um or _DIAMETER_UM) / _DIAMETER_UM
    unit = scale / mpp
    signal, tissue = _signal(pixels, wanted.calibration)
    smooth = _blurred(signal, _SMOOTHING_UM * unit)
    background, _ = _levels(smooth, tissue, _WINDOW_UM * unit)
    smooth = np.minimum(smooth, background + _SATURATED_OD)
    background, nuclei = _levels(smooth, tissue, _WINDOW_UM * unit)
    contrast = smooth - background
    mask = (contrast > np.maximum(_THRESHOLD * (nuclei - background), _LEAST_CONTRAST_OD)) & tissue
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
    if len(calibration.low) and max(calibration.low) < _DARK:
        low, high = max(calibration.low), max(calibration.high)
        brightness = pixels.max(axis=2).astype(np.float32)
        return np.clip((brightness - low) / max(high - low, 1.0), 0, 1), np.ones(brightness.shape, bool)
    density = optical_density(pixels)
    haematoxylin: Image = unmix(density, calibration.stain_matrix)[..., 0]
    return haematoxylin, cv2.blur(density.mean(axis=2), (3, 3)) > _GLASS_OD


def _blurred(image: Image, sigma: float) -> Image:
    """Gaussian blur; a wide one on a coarser grid, where it costs a fraction and differs by a percent."""
    step = max(1, int(sigma // 6))
    small = cv2.resize(image, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA) if step > 1 else image
    small = cv2.GaussianBlur(small, (0, 0), sigma / step, borderType=cv2.BORDER_REFLECT_101)
    whole: Image = cv2.resize(small, image.shape[::-1], interpolation=cv2.INTER_LINEAR) if step > 1 else small
    return whole


def _levels(smooth: Image, tissue: NDArray[np.bool_], sigma: float) -> tuple[Image, Image]:
    """Around each pixel, over tissue: the mean of what is below the local mean, and of what is above."""
    weight = tissue.astype(np.float32)
    total = np.maximum(_blurred(weight, sigma), 1e-3)
    mean_sum = _blurred(smooth * weight, sigma)
    # By more than rounding: one colour has nothing above its mean.
    above = weight * (smooth > mean_sum / total + 1e-3)
    share, above_sum = _blurred(above, sigma), _blurred(smooth * above, sigma)
    background = (mean_sum - above_sum) / np.maximum(total - share, 1e-3)
    return background, np.maximum(above_sum / np.maximum(share, 1e-3), background)


def _cleaned(mask: NDArray[np.bool_], unit: float) -> NDArray[np.bool_]:
    """Without threads and specks, and without the holes that pale chromatin leaves."""
    radius = _OPENING_UM * unit
    reach = np.arange(-np.ceil(radius), np.ceil(radius) + 1)
    disc = (np.add.outer(reach**2, reach**2) <= radius * radius + 0.5).astype(np.uint8)
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, disc)
    _, holes, stats, _ = cv2.connectedComponentsWithStats(1 - opened, connectivity=4)
    filled = stats[:, cv2.CC_STAT_AREA] < _LARGEST_HOLE_UM2 * unit * unit
    filled[0] = True
    return filled[holes]  # type: ignore[no-any-return]


def _split(mask: NDArray[np.bool_], unit: float) -> NDArray[np.int32]:
    """Touching nuclei apart: every summit of the distance to the edge that stands out above its saddles is one."""
    # Where there is no edge at all, the distance to it is not infinite but the image's side.
    distance = np.minimum(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5), max(mask.shape)) / unit
    height = _blurred(distance, _SEED_SMOOTHING_UM * unit)
    flooded = reconstruction(height - _SEED_HEIGHT_UM, height)
    # Seeds are where the summits stick out of the surface that is flooded up to their height.
    _, seeds = cv2.connectedComponents(((height - flooded > 1e-6) & mask).astype(np.uint8), connectivity=8)
    labels: NDArray[np.int32] = watershed(-height, seeds, mask=mask)
    return labels
