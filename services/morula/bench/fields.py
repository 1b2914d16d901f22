"""Cells of a plain image without servers: the services' own cores, called on arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from morula.common.models import DEFAULT_SEGMENTER, find
from morula.common.stain import Staining
from morula.embedder import morphology, named
from morula.embedder.instances import Columns
from morula.networks.models import Models
from morula.onebox.segmenting import calibration_of
from morula.segmenter.backends import MODELS
from morula.segmenter.instances import Calibration, Instances, Wanted
from morula.segmenter.outlines import Outlines, outline

Finder = Callable[[NDArray[np.uint8], float, Calibration], Instances]


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


@contextmanager
def finder(name: str = DEFAULT_SEGMENTER) -> Iterator[Finder]:
    """A segmenter that ships, as it sees a slide."""
    models = Models("segmenter", MODELS)
    try:
        model = models[name]
        yield lambda pixels, mpp, calibration: model(pixels, mpp, Wanted(calibration=calibration))
    finally:
        models.close()


def cells_of(pixels: NDArray[np.uint8], mpp: float, find_cells: Finder) -> Field:
    """Segments an RGB image of H&E and measures its cells by `morphology`."""
    calibration = calibration_of(pixels)
    outlines = outline(find_cells(pixels, mpp, calibration))
    staining = Staining("H&E", calibration.stain_matrix)
    columns = morphology.measure(pixels, outlines.labels, outlines.polygons, mpp, staining)
    return Field(outlines, columns)
