"""Outlines of what a model found in an image: all that follows is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morula.common.formats import IMPORTED
from morula.common.imported import Painted
from morula.segmenter.instances import Instances
from morula.segmenter.polygons import separate, trace


@dataclass(frozen=True, slots=True)
class Outlines:
    """The cells of an image, in its px: label k + 1 is row k of everything else."""

    labels: NDArray[np.int32]
    polygons: NDArray[np.object_]
    scores: NDArray[np.float32]
    centroids: NDArray[np.float64]
    areas_px: NDArray[np.int64]
    features: NDArray[np.float16] | None = None
    style: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """What else the table of cells has of each."""

    def diameters_um(self, mpp: float) -> NDArray[np.float64]:
        """Diameters of discs of the same area."""
        diameters: NDArray[np.float64] = np.sqrt(4 / np.pi * self.areas_px) * mpp
        return diameters


def outline(instances: Instances) -> Outlines:
    """Whole outlines of what a model found: one piece per object, on pixel edges, with its centroid."""
    labels = separate(instances.labels)
    present = np.flatnonzero(np.bincount(instances.labels.ravel())[1:])
    flat = np.flatnonzero(labels)
    cell = labels.ravel()[flat] - 1
    areas = np.bincount(cell, minlength=present.size)
    row, column = np.divmod(flat, labels.shape[1])
    x = np.bincount(cell, column + 0.5, present.size) / np.maximum(areas, 1)
    y = np.bincount(cell, row + 0.5, present.size) / np.maximum(areas, 1)
    features = None if instances.features is None else instances.features[present]
    centroids = np.stack([x, y], axis=1)
    return Outlines(
        labels,
        trace(labels),
        instances.scores[present],
        centroids,
        areas,
        features,
        instances.style,
        {} if instances.imported is None else _came_with(instances.imported, present),
    )


def _came_with(painted: Painted, present: NDArray[np.int64]) -> Mapping[str, NDArray[Any]]:
    columns = (painted.rows, painted.clusters, painted.confidences)
    return {name: values[present] for name, values in zip(IMPORTED, columns, strict=True)}
