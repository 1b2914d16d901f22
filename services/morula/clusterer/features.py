"""From raw vectors to features: a fixed scale, never the slide's own, and the company that a cell keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from morula.clusterer.arrays import Doubles, Floats, Halves, chunks
from morula.common.errors import InvalidArgument

CLIP = 5.0
MAX_OWN_COLUMNS = 64
PROJECTED_COLUMNS = 32
NEIGHBOUR_WEIGHT = 1.0
"""How much the mean of the nearest cells counts beside a cell's own vector."""


@dataclass(frozen=True)
class Scale:
    """Columns of an embedder, and location and scale of each over its reference set."""

    columns: tuple[str, ...]
    location: tuple[float, ...]
    scale: tuple[float, ...]


@dataclass(frozen=True)
class SlideVectors:
    """Vectors of one slide's cells in row order, and where the cells lie (one unit of length for all slides)."""

    vectors: Halves | Floats
    x: Doubles
    y: Doubles


@dataclass(frozen=True)
class Projection:
    """Turns scaled columns into fewer."""

    mean: Floats
    components: Floats


@dataclass(frozen=True)
class Features:
    """What clusters and labels are made from: own columns first, then the same of the nearest cells."""

    matrix: Halves
    names: tuple[str, ...]
    own_count: int
    projection: Projection | None


def build(slides: Sequence[SlideVectors], scale: Scale, neighbour_count: int) -> Features:
    """Features of all slides' cells, slide after slide."""
    own = [scaled(slide.vectors, scale) for slide in slides]
    projection = fit_projection(own) if len(scale.columns) > MAX_OWN_COLUMNS else None
    names = _own_names(scale, projection)
    parts = [
        _with_neighbours(slide, rows, projection, neighbour_count) for slide, rows in zip(slides, own, strict=True)
    ]
    matrix = np.concatenate(parts) if parts else np.zeros((0, len(names)), np.float16)
    own_count = len(names)
    if neighbour_count > 0:
        names += tuple(f"nearby_{name}" for name in names)
    return Features(matrix, names, own_count, projection)


def apply(slide: SlideVectors, scale: Scale, projection: Projection | None, neighbour_count: int) -> Halves:
    """Features of one more slide's cells, exactly as a clustering made them."""
    return _with_neighbours(slide, scaled(slide.vectors, scale), projection, neighbour_count)


def scaled(vectors: Halves | Floats, scale: Scale) -> Floats:
    """Fixed location and scale, clipped. What could not be measured lies at the location: it says nothing."""
    if vectors.ndim != 2 or vectors.shape[1] != len(scale.columns):
        raise InvalidArgument(f"vectors of shape {vectors.shape} do not have the {len(scale.columns)} columns expected")
    location, width = np.asarray(scale.location, np.float32), np.asarray(scale.scale, np.float32)
    result = np.empty(vectors.shape, np.float32)
    for rows in chunks(len(vectors)):
        result[rows] = np.clip((vectors[rows].astype(np.float32) - location) / width, -CLIP, CLIP)
    return np.nan_to_num(result, copy=False, nan=0.0)


def neighbour_mean(own: Floats, x: Doubles, y: Doubles, count: int) -> Floats:
    """Mean vector of the `count` nearest other cells; a cell without company keeps its own."""
    if len(own) < 2:
        return own.copy()
    places = np.stack([x, y], axis=1)
    nearest = min(count, len(own) - 1)
    tree = cKDTree(places)
    result = np.empty_like(own)
    for rows in chunks(len(own)):
        _, indices = tree.query(places[rows], k=nearest + 1)
        # A cell is its own nearest; among many cells on one spot it may be missing.
        itself = (indices == np.arange(rows.start, rows.stop)[:, None]).any(axis=1)[:, None]
        total = own[indices].sum(axis=1) - np.where(itself, own[rows], 0.0)
        result[rows] = total / np.where(itself, nearest, nearest + 1)
    return result


def fit_projection(parts: Sequence[Floats], column_count: int = PROJECTED_COLUMNS) -> Projection:
    """Principal axes over all slides together; the sign of each is that of its largest entry."""
    row_count = max(1, sum(len(part) for part in parts))
    width = parts[0].shape[1]
    mean = sum((part.sum(axis=0, dtype=np.float64) for part in parts), np.zeros(width)) / row_count
    covariance = np.zeros((width, width))
    for part in parts:
        for rows in chunks(len(part)):
            centred = part[rows] - mean.astype(np.float32)
            covariance += centred.T @ centred
    _, vectors = np.linalg.eigh(covariance / row_count)
    components = vectors[:, ::-1][:, :column_count].T
    largest = np.take_along_axis(components, np.abs(components).argmax(axis=1)[:, None], axis=1)
    return Projection(mean.astype(np.float32), (components * np.sign(largest)).astype(np.float32))


def _with_neighbours(slide: SlideVectors, own: Floats, projection: Projection | None, count: int) -> Halves:
    if projection is not None:
        own = np.asarray((own - projection.mean) @ projection.components.T, np.float32)
    if count <= 0:
        return own.astype(np.float16)
    nearby = neighbour_mean(own, slide.x, slide.y, count) * NEIGHBOUR_WEIGHT
    return np.concatenate([own, nearby], axis=1).astype(np.float16)


def _own_names(scale: Scale, projection: Projection | None) -> tuple[str, ...]:
    if projection is None:
        return scale.columns
    return tuple(f"component_{number}" for number in range(1, len(projection.components) + 1))
