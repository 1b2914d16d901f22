"""The embedder that costs nothing: what the network that found the cells sees under each mask."""

from __future__ import annotations

from morula.common.compute import Checkpoint
from morula.common.errors import InvalidArgument
from morula.common.models import ModelSpec
from morula.embedder.instances import RegionCells, Vectors


class SegmentersFeatures:
    """Vectors are the features that the table of cells holds."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec

    def __call__(self, cells: RegionCells, _checkpoint: Checkpoint, /) -> Vectors:
        expected = len(self._spec.columns)
        if cells.features is None or cells.features.shape[1] != expected:
            there = "none" if cells.features is None else str(cells.features.shape[1])
            raise InvalidArgument(
                f"{self._spec.name} reads {expected} features of each cell, and these cells have {there}: "
                f"find them with {self._spec.segmenter}"
            )
        return cells.features
