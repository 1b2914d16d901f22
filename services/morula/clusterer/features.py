"""From raw vectors to features: a fixed scale, never the slide's own, and the company that a cell keeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.spatial import cKDTree

from morula.clusterer.arrays import Doubles, Floats, Halves, chunks, sample_rows
from morula.common.errors import InvalidArgument

CLIP = 5.0
MAX_OWN_COLUMNS = 64
PROJECTED_COLUMNS = 32
FIT_ROWS = 20_000
"""Rows that axes are fitted to at most: a seeded draw over all slides."""
NEIGHBOUR_WEIGHT = 1.0
"""How much the mean of the nearest cells counts beside a cell's own vector."""
HALF_PRECISION = 0.01
"""Features that differ by no more may be the same numbers."""


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
    is_wide = len(scale.columns) > MAX_OWN_COLUMNS
    projection = fit_projection([slide.vectors for slide in slides], scale) if is_wide else None
    names = _own_names(scale, projection)
    parts = [apply(slide, scale, projection, neighbour_count) for slide in slides]
    matrix = np.concatenate(parts) if parts else np.zeros((0, len(names)), np.float16)
    own_count = len(names)
    if neighbour_count > 0:
        names += tuple(f"nearby_{name}" for name in names)
    return Features(matrix, names, own_count, projection)


def apply(slide: SlideVectors, scale: Scale, projection: Projection | None, neighbour_count: int) -> Halves:
    """Features of one more slide's cells, exactly as a clustering made them."""
    own = projected(slide.vectors, scale, projection) if projection is not None else scaled(slide.vectors, scale)
    if neighbour_count <= 0:
        return own.astype(np.float16)
    nearby = neighbour_mean(own, slide.x, slide.y, neighbour_count) * NEIGHBOUR_WEIGHT
    return np.concatenate([own, nearby], axis=1).astype(np.float16)


def known(vectors: Halves | Floats) -> NDArray[np.bool_]:
    """Rows of which anything was measured: a cell without a vector is in no cluster."""
    result = np.empty(len(vectors), bool)
    for rows in chunks(*vectors.shape):
        result[rows] = np.isfinite(vectors[rows]).any(axis=1)
    return result


def of_the_unknown(projection: Projection | None, own_count: int) -> Floats:
    """A cell's own features where nothing of it was measured."""
    if projection is None:
        return np.zeros(own_count, np.float32)
    lies: Floats = -projection.mean @ projection.components.T
    return lies


def is_unknown(rows: Halves, projection: Projection | None, own_count: int) -> NDArray[np.bool_]:
    """Rows of features that are those of a cell of which nothing was measured."""
    lies, result = of_the_unknown(projection, own_count), np.empty(len(rows), bool)
    for part in chunks(*rows.shape):
        result[part] = np.isclose(rows[part][:, :own_count], lies, atol=HALF_PRECISION).all(axis=1)
    return result


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


def projected(vectors: Halves | Floats, scale: Scale, projection: Projection) -> Floats:
    """Scaled rows on fewer axes; never are all of them there in full width."""
    result = np.empty((len(vectors), len(projection.components)), np.float32)
    for rows in chunks(*vectors.shape):
        result[rows] = (scaled(vectors[rows], scale) - projection.mean) @ projection.components.T
    return result


def fit_projection(parts: Sequence[Halves | Floats], scale: Scale, column_count: int = PROJECTED_COLUMNS) -> Projection:
    """Principal axes over all slides together; the sign of each is that of its largest entry."""
    drawn = _drawn(parts)
    row_count, width = 0, len(scale.columns)
    total, squares = np.zeros(width), np.zeros((width, width))
    for wide in _scaled_chunks(drawn, scale):
        total += wide.sum(axis=0, dtype=np.float64)
        row_count += len(wide)
    mean = total / max(1, row_count)
    for wide in _scaled_chunks(drawn, scale):
        centred = wide - mean.astype(np.float32)
        squares += centred.T @ centred
    _, vectors = eigh(squares / max(1, row_count), subset_by_index=[max(0, width - column_count), width - 1])
    components = vectors[:, ::-1].T
    largest = np.take_along_axis(components, np.abs(components).argmax(axis=1)[:, None], axis=1)
    return Projection(mean.astype(np.float32), (components * np.sign(largest)).astype(np.float32))


def _drawn(parts: Sequence[Halves | Floats]) -> list[Halves | Floats]:
    """All parts, or a draw of rows of each where there are too many together."""
    row_count = sum(map(len, parts))
    if row_count <= FIT_ROWS:
        return list(parts)
    starts = np.cumsum([0, *map(len, parts)])
    rows = sample_rows(row_count, FIT_ROWS, 0)
    split = np.split(rows, np.searchsorted(rows, starts[1:-1]))
    return [part[inside - start] for part, inside, start in zip(parts, split, starts[:-1], strict=True)]


def _scaled_chunks(parts: Sequence[Halves | Floats], scale: Scale) -> Iterator[Floats]:
    """Rows that were measured: axes follow no others."""
    for part in parts:
        for rows in chunks(len(part), len(scale.columns)):
            yield scaled(part[rows][np.isfinite(part[rows]).all(axis=1)], scale)


def _own_names(scale: Scale, projection: Projection | None) -> tuple[str, ...]:
    if projection is None:
        return scale.columns
    return tuple(f"component_{number}" for number in range(1, len(projection.components) + 1))
