"""A cell in named numbers: shape, stain, chromatin, the ring around the nucleus, the neighbourhood.

One pass over a region for all its cells: every column is a sum over pixels by label (`numpy.bincount`), so the cost
is that of the region's pixels, whatever their number of cells. What of stains is measured depends on the slide's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from morula.common.blur import blurred
from morula.common.stain import Staining
from morula.embedder.planes import Planes, planes

Floats = NDArray[np.float64]
Image = NDArray[np.float32]

_INNER_RING_UM = 2.0
_OUTER_RING_UM = 6.0
_RIM_UM = 1.0
_NEAR_UM = 10.0
_FAR_UM = 25.0
_FINE_UM = 0.5
_COARSE_UM = 1.5


@dataclass(frozen=True, slots=True)
class _Field:
    """A region's images, in working px."""

    planes: Planes
    mpp: float

    @property
    def main(self) -> Image:
        return self.planes.main[1]

    @property
    def stains(self) -> dict[str, Image]:
        """The main plane first."""
        return dict([self.planes.main]) | dict(self.planes.others)

    @property
    def unit(self) -> str:
        return self.planes.unit

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

    def percentiles(self, image: Image, most: float, *percents: int) -> list[Floats]:
        """In steps of 1/256 of the largest value that counts."""
        level = np.clip(image.ravel()[self.flat] * (255 / most), 0, 255).astype(np.int64)
        ranked = np.sort(self.cell * 256 + level)
        start = np.cumsum(self.pixel_count) - self.pixel_count
        places = [start + (self.pixel_count - 1) * percent // 100 for percent in percents]
        return [(ranked[place] % 256) * (most / 255) for place in places]


def measure(
    pixels: NDArray[np.uint8],
    labels: NDArray[np.int32],
    polygons: NDArray[np.object_],
    mpp: float,
    staining: Staining,
) -> dict[str, Floats]:
    """Columns of all cells of a region; `polygons[k]`, in working px, is label k + 1 of `labels`."""
    field = _Field(planes(pixels, staining), mpp)
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
    (name, main), unit = field.planes.main, field.unit
    columns: dict[str, Floats] = {}
    for stain, image in field.stains.items():
        columns[f"{stain}_mean_{unit}"], columns[f"{stain}_std_{unit}"] = inside.mean_and_std(image)
        if stain == name:
            low, middle, high = inside.percentiles(main, field.planes.most, 10, 50, 90)
            columns |= {f"{name}_p10_{unit}": low, f"{name}_p50_{unit}": middle, f"{name}_p90_{unit}": high}
    columns |= {f"{colour}_mean_{unit}": inside.mean(image) for colour, image in field.planes.colours.items()}
    total = columns[f"{name}_mean_{unit}"] * inside.pixel_count * field.mpp**2
    return columns | {f"{name}_total_{unit}_um2": total}


def _chromatin(inside: _Zone, field: _Field, labels: NDArray[np.int32]) -> dict[str, Floats]:
    """Texture: how fast it changes, in clumps of about 0.5 and 1.5 um, and where it sits, rim or core."""
    fine = field.blurred(field.main, _FINE_UM)
    coarse = field.blurred(field.main, _COARSE_UM)
    across, down = (cv2.Sobel(fine, cv2.CV_32F, *axes) / 8 for axes in ((1, 0), (0, 1)))
    gradient = np.asarray(np.hypot(across, down) / field.mpp, np.float32)
    clumps = np.abs(field.main - fine)
    blobs = fine - coarse
    depth = cv2.distanceTransform(_interior(labels), cv2.DIST_L2, 3).ravel()[inside.flat]
    rim = depth * field.mpp <= _RIM_UM
    cell_count = inside.pixel_count.size
    rim_mean = _Zone(inside.flat[rim], inside.cell[rim], cell_count).mean(field.main)
    core_mean = _Zone(inside.flat[~rim], inside.cell[~rim], cell_count).mean(field.main, instead=rim_mean)
    core = _Zone(inside.flat[~rim], inside.cell[~rim], cell_count)
    _, blob_std = core.mean_and_std(blobs)
    unit = field.unit
    return {
        f"gradient_mean_{unit}_per_um": inside.mean(gradient),
        f"rim_gradient_mean_{unit}_per_um": _Zone(inside.flat[rim], inside.cell[rim], cell_count).mean(gradient),
        f"clump_contrast_{unit}": inside.mean(clumps),
        f"blob_contrast_{unit}": blob_std,
        f"rim_less_core_{unit}": rim_mean - core_mean,
    }


def _interior(labels: NDArray[np.int32]) -> NDArray[np.uint8]:
    """1 where a pixel and its neighbours right and below are of one cell, so that touching cells come apart."""
    same = labels > 0
    same[:, :-1] &= labels[:, :-1] == labels[:, 1:]
    same[:-1] &= labels[:-1] == labels[1:]
    return same.astype(np.uint8)


def _surroundings(inside: _Zone, field: _Field, labels: NDArray[np.int32]) -> dict[str, Floats]:
    """Rings around each cell, up to half way to the next one, and the tissue further out."""
    unit, stains = field.unit, field.stains
    near = {stain: inside.mean(field.blurred(image, _NEAR_UM)) for stain, image in stains.items()}
    columns: dict[str, Floats] = {}
    cell_count = inside.pixel_count.size
    for name, ring in zip(("inner", "outer"), _rings(labels, field.mpp, cell_count), strict=True):
        for stain, image in stains.items():
            mean, std = ring.mean_and_std(image, instead=near[stain])
            columns |= {f"{name}_ring_{stain}_mean_{unit}": mean, f"{name}_ring_{stain}_std_{unit}": std}
    covered = (labels > 0).astype(np.float32)
    return (
        columns
        | {f"near_{stain}_mean_{unit}": mean for stain, mean in near.items()}
        | {
            "near_nuclear_fraction": inside.mean(field.blurred(covered, _NEAR_UM)),
            "far_nuclear_fraction": inside.mean(field.blurred(covered, _FAR_UM)),
        }
        | {f"far_{stain}_mean_{unit}": inside.mean(field.blurred(image, _FAR_UM)) for stain, image in stains.items()}
    )


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
