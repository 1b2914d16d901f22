"""A cell in named numbers: shape, stain, chromatin, the ring around the nucleus, the neighbourhood.

One pass over a region for all its cells: every column is a sum over pixels by label (`numpy.bincount`), so the cost
is that of the region's pixels, whatever their number of cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from morula.common.blur import blurred
from morula.common.stain import optical_density, unmix

Floats = NDArray[np.float64]
Image = NDArray[np.float32]

_INNER_RING_UM = 2.0
_OUTER_RING_UM = 6.0
_RIM_UM = 1.0
_NEAR_UM = 10.0
_FAR_UM = 25.0
_FINE_UM = 0.5
_COARSE_UM = 1.5
# Densities are ranked in steps of 1/256 up to this one; tissue is rarely above 1.5.
_DENSEST = 2.0


@dataclass(frozen=True, slots=True)
class _Field:
    """A region's images, in working px."""

    haematoxylin: Image
    eosin: Image
    density: Image
    mpp: float

    def blurred(self, image: Image, sigma_um: float) -> Image:
        return blurred(image, sigma_um / self.mpp)


class _Zone:
    """Some pixels of each cell, and statistics of images over them. A cell without pixels takes `instead`."""

    def __init__(self, flat: NDArray[np.int64], cell: NDArray[np.int64], cell_count: int) -> None:
        self.flat, self.cell, self._cell_count = flat, cell, cell_count
        self.pixel_count = np.bincount(cell, minlength=cell_count)

    def sum(self, values: Image | Floats | NDArray[np.int64]) -> Floats:
        return np.asarray(np.bincount(self.cell, values, self._cell_count), np.float64)

    def mean(self, image: Image, instead: Floats | float = 0.0) -> Floats:
        mean = self.sum(image.ravel()[self.flat]) / np.maximum(self.pixel_count, 1)
        return np.where(self.pixel_count > 0, mean, instead)

    def mean_and_std(self, image: Image, instead: Floats | float = 0.0) -> tuple[Floats, Floats]:
        values = image.ravel()[self.flat]
        count = np.maximum(self.pixel_count, 1)
        mean = self.sum(values) / count
        variance = self.sum(np.square(values - mean[self.cell])) / count
        return np.where(self.pixel_count > 0, mean, instead), np.sqrt(variance)

    def percentiles(self, image: Image, *percents: int) -> list[Floats]:
        level = np.clip(image.ravel()[self.flat] * (255 / _DENSEST), 0, 255).astype(np.int64)
        ranked = np.sort(self.cell * 256 + level)
        start = np.cumsum(self.pixel_count) - self.pixel_count
        places = [start + (self.pixel_count - 1) * percent // 100 for percent in percents]
        return [(ranked[place] % 256) * (_DENSEST / 255) for place in places]


def measure(
    pixels: NDArray[np.uint8],
    labels: NDArray[np.int32],
    polygons: NDArray[np.object_],
    mpp: float,
    stain_matrix: Sequence[float],
) -> dict[str, Floats]:
    """Columns of all cells of a region; `polygons[k]`, in working px, is label k + 1 of `labels`."""
    density = optical_density(pixels)
    stains = unmix(density, stain_matrix)
    field = _Field(stains[..., 0].copy(), stains[..., 1].copy(), density, mpp)
    flat = np.flatnonzero(labels)
    inside = _Zone(flat, labels.ravel()[flat].astype(np.int64) - 1, len(polygons))
    return {
        **_shape(inside, labels, polygons, mpp),
        **_stain(inside, field),
        **_chromatin(inside, field, labels),
        **_surroundings(inside, field, labels),
    }


def _shape(inside: _Zone, labels: NDArray[np.int32], polygons: NDArray[np.object_], mpp: float) -> dict[str, Floats]:
    area = inside.pixel_count.astype(np.float64)
    row, column = np.divmod(inside.flat, labels.shape[1])
    dx = column - (inside.sum(column) / area)[inside.cell]
    dy = row - (inside.sum(row) / area)[inside.cell]
    # A pixel is a unit square, whose own second moment is 1/12.
    xx, yy = inside.sum(dx * dx) / area + 1 / 12, inside.sum(dy * dy) / area + 1 / 12
    xy = inside.sum(dx * dy) / area
    spread = np.sqrt(np.square((xx - yy) / 2) + np.square(xy))
    major = 4 * np.sqrt((xx + yy) / 2 + spread)
    minor = 4 * np.sqrt(np.maximum((xx + yy) / 2 - spread, 1 / 12))
    perimeter = _perimeter(labels, len(polygons))
    return {
        "area_um2": area * mpp * mpp,
        "perimeter_um": perimeter * mpp,
        "major_axis_um": major * mpp,
        "minor_axis_um": minor * mpp,
        "eccentricity": np.sqrt(np.maximum(1 - np.square(minor / major), 0)),
        "solidity": area / shapely.area(shapely.convex_hull(polygons)),
        "roundness": np.minimum(4 * np.pi * area / np.square(perimeter), 1.5),
        "fill_of_ellipse": area / (np.pi / 4 * major * minor),
    }


def _perimeter(labels: NDArray[np.int32], cell_count: int) -> Floats:
    """Crofton's formula over four directions: lines that cross the outline are counted, whichever way the cell lies."""
    padded = np.pad(labels, 1)
    crossings = np.zeros(cell_count + 1)
    for one, other, spacing in (
        (padded[:, :-1], padded[:, 1:], 1.0),
        (padded[:-1], padded[1:], 1.0),
        (padded[:-1, :-1], padded[1:, 1:], 2**-0.5),
        (padded[:-1, 1:], padded[1:, :-1], 2**-0.5),
    ):
        differ = np.flatnonzero(one != other)
        for side in (one, other):
            crossings += spacing * np.bincount(side.ravel()[differ], minlength=cell_count + 1)
    return np.pi / 8 * crossings[1:]


def _stain(inside: _Zone, field: _Field) -> dict[str, Floats]:
    haematoxylin_mean, haematoxylin_std = inside.mean_and_std(field.haematoxylin)
    eosin_mean, eosin_std = inside.mean_and_std(field.eosin)
    low, middle, high = inside.percentiles(field.haematoxylin, 10, 50, 90)
    red, green, blue = (inside.mean(field.density[..., channel]) for channel in range(3))
    return {
        "haematoxylin_mean_od": haematoxylin_mean,
        "haematoxylin_std_od": haematoxylin_std,
        "haematoxylin_p10_od": low,
        "haematoxylin_p50_od": middle,
        "haematoxylin_p90_od": high,
        "eosin_mean_od": eosin_mean,
        "eosin_std_od": eosin_std,
        "red_mean_od": red,
        "green_mean_od": green,
        "blue_mean_od": blue,
        "haematoxylin_total_od_um2": haematoxylin_mean * inside.pixel_count * field.mpp**2,
    }


def _chromatin(inside: _Zone, field: _Field, labels: NDArray[np.int32]) -> dict[str, Floats]:
    """Texture: how fast density changes, in clumps of about 0.5 and 1.5 um, and where it sits, rim or core."""
    fine = field.blurred(field.haematoxylin, _FINE_UM)
    coarse = field.blurred(field.haematoxylin, _COARSE_UM)
    across, down = (cv2.Sobel(fine, cv2.CV_32F, *axes) / 8 for axes in ((1, 0), (0, 1)))
    gradient = np.asarray(np.hypot(across, down) / field.mpp, np.float32)
    clumps = np.abs(field.haematoxylin - fine)
    blobs = fine - coarse
    depth = cv2.distanceTransform(_interior(labels), cv2.DIST_L2, 3).ravel()[inside.flat]
    rim = depth * field.mpp <= _RIM_UM
    cell_count = inside.pixel_count.size
    rim_mean = _Zone(inside.flat[rim], inside.cell[rim], cell_count).mean(field.haematoxylin)
    core_mean = _Zone(inside.flat[~rim], inside.cell[~rim], cell_count).mean(field.haematoxylin, instead=rim_mean)
    core = _Zone(inside.flat[~rim], inside.cell[~rim], cell_count)
    _, blob_std = core.mean_and_std(blobs)
    return {
        "gradient_mean_od_per_um": inside.mean(gradient),
        "rim_gradient_mean_od_per_um": _Zone(inside.flat[rim], inside.cell[rim], cell_count).mean(gradient),
        "clump_contrast_od": inside.mean(clumps),
        "blob_contrast_od": blob_std,
        "rim_less_core_od": rim_mean - core_mean,
    }


def _interior(labels: NDArray[np.int32]) -> NDArray[np.uint8]:
    """1 where a pixel and its neighbours right and below are of one cell, so that touching cells come apart."""
    same = labels > 0
    same[:, :-1] &= labels[:, :-1] == labels[:, 1:]
    same[:-1] &= labels[:-1] == labels[1:]
    return same.astype(np.uint8)


def _surroundings(inside: _Zone, field: _Field, labels: NDArray[np.int32]) -> dict[str, Floats]:
    """Rings around each cell, up to half way to the next one, and the tissue further out."""
    near_haematoxylin = inside.mean(field.blurred(field.haematoxylin, _NEAR_UM))
    near_eosin = inside.mean(field.blurred(field.eosin, _NEAR_UM))
    columns: dict[str, Floats] = {}
    cell_count = inside.pixel_count.size
    for name, ring in zip(("inner", "outer"), _rings(labels, field.mpp, cell_count), strict=True):
        haematoxylin, haematoxylin_std = ring.mean_and_std(field.haematoxylin, instead=near_haematoxylin)
        eosin, eosin_std = ring.mean_and_std(field.eosin, instead=near_eosin)
        columns |= {
            f"{name}_ring_haematoxylin_mean_od": haematoxylin,
            f"{name}_ring_haematoxylin_std_od": haematoxylin_std,
            f"{name}_ring_eosin_mean_od": eosin,
            f"{name}_ring_eosin_std_od": eosin_std,
        }
    covered = (labels > 0).astype(np.float32)
    return columns | {
        "near_haematoxylin_mean_od": near_haematoxylin,
        "near_eosin_mean_od": near_eosin,
        "near_nuclear_fraction": inside.mean(field.blurred(covered, _NEAR_UM)),
        "far_nuclear_fraction": inside.mean(field.blurred(covered, _FAR_UM)),
        "far_haematoxylin_mean_od": inside.mean(field.blurred(field.haematoxylin, _FAR_UM)),
        "far_eosin_mean_od": inside.mean(field.blurred(field.eosin, _FAR_UM)),
    }


def _rings(labels: NDArray[np.int32], mpp: float, cell_count: int) -> tuple[_Zone, _Zone]:
    outside = (labels == 0).astype(np.uint8)
    distance, nearest = cv2.distanceTransformWithLabels(outside, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    # `nearest` numbers the cells' pixels in raster order, from 1.
    owner = labels.ravel()[labels.ravel() > 0].astype(np.int64)
    away_um = distance.ravel() * mpp
    zones = []
    for from_um, to_um in ((0.0, _INNER_RING_UM), (_INNER_RING_UM, _OUTER_RING_UM)):
        flat = np.flatnonzero((away_um > from_um) & (away_um <= to_um))
        zones.append(_Zone(flat, owner[nearest.ravel()[flat] - 1] - 1, cell_count))
    return zones[0], zones[1]
