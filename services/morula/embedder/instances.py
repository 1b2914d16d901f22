"""What an embedder is asked and what it answers. An embedder is one file and one row of the registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from morula.common.compute import Checkpoint
from morula.common.pixels import Region
from morula.common.stain import Staining
from morula.networks.dtypes import Dtype

Columns = dict[str, NDArray[np.float64]]
Vectors = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class RegionCells:
    """Cells of one region, and its pixels."""

    region: Region
    polygons: NDArray[np.object_]
    """Outlines in working px."""
    labels: NDArray[np.int32]
    """An image of the region: k + 1 where cell k is, 0 where none is."""
    staining: Staining
    """What is known of the slide's stain."""
    morphology: Columns
    """What is measured of every cell, whichever model makes vectors."""
    features: NDArray[np.float16] | None = None
    """What the network that found the cells sees of each, where it told and the embedder's row asks for it."""


class Embedder(Protocol):
    """Describes each cell in numbers: one row per cell, one column per column of its row in the registry.

    A cell of which it cannot say one of them has a number there that is not finite, and then no vector at all.

    A model that is long at it asks `checkpoint` now and then, which raises where nobody waits any more.
    """

    def __call__(self, cells: RegionCells, checkpoint: Checkpoint, /) -> Vectors: ...


@runtime_checkable
class Computing(Protocol):
    """An embedder with a network, which computes as a request asks it to."""

    def computing(self, dtype: Dtype, thread_count: int) -> Embedder: ...
