"""Fields of synthetic slides, cut where there is most to see."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from morula.common.errors import InvalidArgument
from morula.synth.noise import Window
from morula.synth.slide import Artist, Order
from morula.synth.splits import SPLITS

_SLIDE_PX = 4096
_FIELD_PX = 512
_FIELDS = 6
_LEAST_OBJECTS = 40


def synthetic_fields(seed: int) -> Iterator[tuple[str, NDArray[np.uint8], NDArray[np.int32]]]:
    """Name, pixels and labels of fields of one slide, which must be one that is for training."""
    split = SPLITS["training"]
    if not split.first_seed <= seed < split.end_seed:
        raise InvalidArgument(f"synthetic slides to learn from have seeds {split.first_seed} to {split.end_seed - 1}")
    artist = Artist(Order(_SLIDE_PX, _SLIDE_PX, seed))
    places = np.random.default_rng(seed).permutation((_SLIDE_PX // _FIELD_PX) ** 2)
    found = 0
    for place in places.tolist():
        y, x = (side * _FIELD_PX for side in divmod(place, _SLIDE_PX // _FIELD_PX))
        block = artist.block(Window(x, y, x + _FIELD_PX, y + _FIELD_PX))
        _, labels = np.unique(block.instances, return_inverse=True)
        if labels.max() < _LEAST_OBJECTS:
            continue
        if not (block.instances == 0).any():
            labels = labels + 1
        yield f"{seed}-{x}-{y}", block.rgb, labels.reshape(block.instances.shape).astype(np.int32)
        found += 1
        if found == _FIELDS:
            return
