"""`morula models fit-scale`: location and scale of an operator's embedder, fitted once to a reference set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from morula.common.models import REGISTRY, ModelSpec, find
from morula.common.weights import WeightsFolder
from morula.embedder.backends import MODELS as EMBEDDERS
from morula.networks.models import Models
from morula.onebox.failures import WrongUse
from morula.onebox.folder import DataFolder
from morula.onebox.machine import profile
from morula.onebox.models import check_name, registry
from morula.onebox.reference import Source, cells_of, described, fields, sources_of
from morula.segmenter.backends import MODELS as SEGMENTERS

LEAST_CELLS = 50
"""Of fewer no quartile of a column can be told."""
MOST_CELLS = 50_000
"""What more would add to a quartile is less than what another reference set would."""
LEAST_SHARE = 0.1
"""Of the columns' middle scale: columns of a network share their unit, and one that hardly varies says little."""
OF_NORMAL = 1.349
"""Quartiles of a normal distribution lie so many deviations apart."""
_COLUMNS_AT_ONCE = 128

Floats = NDArray[np.float32]
Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Fitted:
    """The row as it is now, and of what its scale is."""

    spec: ModelSpec
    former: str
    """The revision that it had."""
    cell_count: int
    source_count: int
    lost_count: int
    """Cells without a vector."""
    left_out: tuple[Path, ...]
    """Files of its folders that are neither an image nor of a slide."""


def quartiles(vectors: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median of each column, and the distance of its quartiles as a deviation."""
    parts = [
        np.percentile(vectors[:, start : start + _COLUMNS_AT_ONCE].astype(np.float64), [25, 50, 75], axis=0)
        for start in range(0, vectors.shape[1], _COLUMNS_AT_ONCE)
    ]
    low, location, high = np.concatenate(parts, axis=1)
    return location, (high - low) / OF_NORMAL


def fit_scale(
    name: str,
    paths: Sequence[Path],
    folder: DataFolder,
    segmenter: str,
    image_mpp: float,
    tell: Told,
    new_name: str | None = None,
) -> Fitted:
    """Describes the cells of a reference set, and writes what their columns are scaled by into the embedder's row."""
    known = registry(folder)
    spec, finder = find(name, "embedder", known), find(segmenter, "segmenter", known)
    if spec.name in {row.name for row in REGISTRY}:
        raise WrongUse(f"{name} ships with the scale of its reference set: this is for embedders that were added")
    for row in (spec, finder):
        row.check_use(profile())
    wanted = replace(spec, name=new_name or name)
    check_name(wanted, folder)
    if any(row.name == wanted.name and row.files != spec.files for row in known):
        raise WrongUse(f"{wanted.name} is another embedder, of other files; choose another name with --as")
    sources, left_out = sources_of(paths)
    vectors, lost_count = _reference(spec, finder, sources, folder, image_mpp, tell)
    location, spread = quartiles(vectors)
    least = LEAST_SHARE * float(np.median(spread))
    if least == 0:
        raise WrongUse(
            f"{name} says the same of all {len(vectors)} cells in most of its numbers: nothing can be scaled"
        )
    words = f"{len(vectors)} cells of {len(sources)} images and slides, found by {finder.name}"
    row = replace(
        wanted,
        location=_short(location),
        scale=_short(np.maximum(spread, least)),
        description=replace(spec.description, scaled_by=words),
    )
    weights = WeightsFolder(folder.weights)
    stored = weights.add(row, weights.files(spec))
    return Fitted(stored, spec.revision, len(vectors), len(sources), lost_count, tuple(left_out))


def _reference(
    spec: ModelSpec, finder: ModelSpec, sources: Sequence[Source], folder: DataFolder, image_mpp: float, tell: Told
) -> tuple[Floats, int]:
    """Vectors of a reference set, and how many cells have none."""
    weights = WeightsFolder(folder.weights)
    found, shown = Models("segmenter", SEGMENTERS, weights), Models("embedder", EMBEDDERS, weights)
    most = -(-MOST_CELLS // len(sources))
    rng, parts, lost_count = np.random.default_rng(0), [np.empty((0, len(spec.columns)), np.float32)], 0
    try:
        for done, source in enumerate(sources):
            tell(done, len(sources))
            cells = (cells_of(field, found[finder.name]) for field in fields(source, spec.mpp, image_mpp))
            vectors = [described(some, shown[spec.name]) for some in cells if some]
            if not vectors:
                continue
            together = np.concatenate(vectors)
            usable = together[np.isfinite(together).all(axis=1)]
            lost_count += len(together) - len(usable)
            parts.append(usable[np.sort(rng.permutation(len(usable))[:most])])
        tell(len(sources), len(sources))
    finally:
        found.close()
        shown.close()
    vectors_of_all = np.concatenate(parts)
    if len(vectors_of_all) < LEAST_CELLS:
        lost = f", and {lost_count} without finite numbers" if lost_count else ""
        raise WrongUse(
            f"{finder.name} finds {len(vectors_of_all)} whole cells in {len(sources)} images and slides{lost}: a scale "
            f"needs at least {LEAST_CELLS}; name more of them, another --segmenter, or the --mpp of your images"
        )
    return vectors_of_all, lost_count


def _short(values: NDArray[np.float64]) -> tuple[float, ...]:
    """With as many digits as mean something."""
    return tuple(float(f"{value:.5g}") for value in values)
