"""The embedder that needs no weights: measured columns side by side, some of them as logarithms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from morula.common.compute import Checkpoint
from morula.embedder.instances import Columns, RegionCells, Vectors

_LOGARITHM = "log_"
_FP16_MAX = float(np.finfo(np.float16).max)


class NamedColumns:
    """Vectors of the columns of these names; `log_` before a name takes the column's natural logarithm."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def __call__(self, cells: RegionCells, _checkpoint: Checkpoint, /) -> Vectors:
        return vectors(cells.morphology, self._names)


def measured(names: Sequence[str]) -> list[str]:
    """The columns of morphology that these columns are made of."""
    return [name.removeprefix(_LOGARITHM) for name in names]


def vectors(columns: Columns, names: Sequence[str]) -> NDArray[np.float16]:
    """The named columns side by side."""
    return np.stack([_column(columns, name) for name in names], axis=1).astype(np.float16)


def _column(columns: Columns, name: str) -> NDArray[np.float64]:
    if name.startswith(_LOGARITHM):
        return np.log(np.maximum(columns[name.removeprefix(_LOGARITHM)], 1e-3))
    return np.clip(columns[name], -_FP16_MAX, _FP16_MAX)
