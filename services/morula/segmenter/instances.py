"""What a model is asked and what it answers. A model is one file and one row of the registry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from morula.common.compute import Checkpoint, go_on
from morula.common.imported import Painted
from morula.segmenter.params import DEFAULTS, FlowParams

# Of all shards together: each holds some hundred MB, and three keep batches full.
REGIONS_AT_ONCE = 3


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a look at the whole slide found: percentiles of its colours over tissue, its stains. Empty where unknown."""

    low: Sequence[float] = ()
    high: Sequence[float] = ()
    stain_matrix: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for, in microns. Zero is the model's own default."""

    diameter_um: float = 0.0
    min_area_um2: float = 0.0
    calibration: Calibration = Calibration()
    flows: FlowParams = DEFAULTS
    is_part: bool = False
    """Whether the image was cut from a larger one, which goes on beyond its frame."""
    imported: Painted | None = None
    """The cells that came with the slide where this image was cut, where some did."""


@dataclass(frozen=True, slots=True)
class Instances:
    """Objects of an image: label k of `labels` is an object with score `scores[k - 1]`, 0 to 1."""

    labels: NDArray[np.int32]
    scores: NDArray[np.float32]
    features: NDArray[np.float16] | None = None
    """What the model saw under each mask (n, width); None where it does not tell."""
    style: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    """What kind of image it is; empty where the model does not tell."""
    imported: Painted | None = None
    """Where the objects came with the slide: which they are there."""


class Model(Protocol):
    """Finds objects in RGB pixels of `mpp` microns; the same pixels give the same objects.

    A model that is long at it asks `checkpoint` now and then, which raises where nobody waits any more.
    """

    def __call__(
        self, pixels: NDArray[np.uint8], mpp: float, wanted: Wanted, checkpoint: Checkpoint = go_on, /
    ) -> Instances: ...


@runtime_checkable
class Sizing(Protocol):
    """A model that can tell the size of objects before it looks for them."""

    def sized(self, pixels: NDArray[np.uint8], mpp: float, wanted: Wanted, checkpoint: Checkpoint, /) -> Wanted: ...
