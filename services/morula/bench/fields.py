"""Cells of a plain image without servers: the services' own cores, called on arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from morula.common.models import find
from morula.common.stain import Stain, Staining
from morula.embedder import morphology, named
from morula.embedder.instances import Columns
from morula.onebox.segmenting import calibration_of
from morula.segmenter import watershed
from morula.segmenter.instances import Calibration, Wanted
from morula.segmenter.outlines import Outlines, outline


@dataclass(frozen=True)
class Field:
    """The cells of one image, in its px; row k is label k + 1."""

    outlines: Outlines
    columns: Columns
    """Morphology in human units."""

    @property
    def centroids(self) -> NDArray[np.float64]:
        return self.outlines.centroids

    def vectors(self) -> NDArray[np.float16]:
        """In the raw units of the registry's columns, as the embedder writes them."""
        return named.vectors(self.columns, find("morphology", "embedder").columns)

    def match(self, x: NDArray[np.float64], y: NDArray[np.float64], within_px: float) -> NDArray[np.int64]:
        """The cell at each point: the one it lies in, else the nearest free centroid; -1 where there is none."""
        labels = self.outlines.labels
        inside = labels[y.astype(int).clip(0, labels.shape[0] - 1), x.astype(int).clip(0, labels.shape[1] - 1)] - 1
        cell: NDArray[np.int64] = inside.astype(np.int64)
        away = np.hypot(x[:, None] - self.centroids[None, :, 0], y[:, None] - self.centroids[None, :, 1])
        away[:, np.unique(inside[inside >= 0])] = np.inf
        if away.shape[1]:
            nearest = away.argmin(axis=1)
            near = (inside < 0) & (away[np.arange(x.size), nearest] <= within_px)
            cell[near] = nearest[near]
        return cell


def cells_of(
    pixels: NDArray[np.uint8], mpp: float, calibration: Calibration | None = None, stain: Stain | None = "H&E"
) -> Field:
    """Segments and measures an RGB image with `watershed` and `morphology`."""
    calibration = calibration or calibration_of(pixels)
    outlines = outline(watershed.segment(pixels, mpp, Wanted(calibration=calibration)))
    staining = Staining(stain, calibration.stain_matrix)
    columns = morphology.measure(pixels, outlines.labels, outlines.polygons, mpp, staining)
    return Field(outlines, columns)
