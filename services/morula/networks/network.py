"""What a network is to those who use it: batches of crops go in, answers come out, whichever runtime computes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from morula.common.errors import ModelUnavailable
from morula.networks.dtypes import Dtype

Crops = NDArray[np.float32] | NDArray[np.uint8]
"""(n, channels, height, width); grey levels become numbers where a batch is packed."""
Maps = Any
"""What a network says of each pixel: an array, or a tensor that has not left its accelerator."""

FEATURE_STEP_PX = 4
"""Features are means over squares of so many px: what is pooled under a nucleus needs no more, and memory does."""


@dataclass(frozen=True)
class Batch:
    """Crops of several callers, filled up with zeros to `size` of them."""

    parts: Sequence[Crops]
    size: int
    threads: int
    """Of a processor."""

    @property
    def filled(self) -> int:
        return sum(map(len, self.parts))

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.size, *self.parts[0].shape[1:])

    def packed(self, into: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """All crops in one array, which is zeros yet if it is given."""
        packed = np.zeros(self.shape, np.float32) if into is None else into
        np.concatenate(self.parts, out=packed[: self.filled])
        return packed


class Answer(NamedTuple):
    """What a network says of crops."""

    maps: Maps
    """(n, channels, height, width); the last three channels of a network of flows are flow and probability."""
    styles: NDArray[np.float32]
    """(n, width): what kind of image each is, or its vector."""
    features: NDArray[np.float16] | None = None
    """(n, width, height / 4, width / 4): what the network sees there; None where it does not tell."""


class Network(Protocol):
    """Answers for the filled crops of a batch. It computes in float32 unless it is Changing."""

    name: str

    def __call__(self, batch: Batch) -> Answer: ...


@runtime_checkable
class Changing(Protocol):
    """A network that can compute in several dtypes."""

    def in_dtype(self, dtype: Dtype) -> Network:
        """The network in a dtype; always the same object, so that requests share batches."""
        ...


class InEachDtype:
    """A network that is made for a dtype when that is first asked for."""

    def __init__(self, name: str, fastest: Dtype, make: Callable[[Dtype], Network]) -> None:
        self.name = name
        self._fastest, self._make = fastest, make
        self._made: dict[Dtype, Network] = {}
        self._lock = threading.Lock()

    def __call__(self, batch: Batch) -> Answer:
        return self.in_dtype("")(batch)

    def in_dtype(self, dtype: Dtype) -> Network:
        wanted = dtype or self._fastest
        with self._lock:
            if wanted not in self._made:
                self._made[wanted] = self._make(wanted)
            return self._made[wanted]


class OutOfMemory(Exception):
    """The device's memory does not hold a batch; nothing of it is left there."""


def computing_in(network: Network, dtype: Dtype) -> Network:
    """The network in this dtype; an error where it has none such."""
    if isinstance(network, Changing):
        return network.in_dtype(dtype)
    if dtype not in ("", "float32"):
        raise ModelUnavailable(f"{network.name} computes in float32, not in {dtype}", model=network.name)
    return network


def on_host(maps: Maps) -> NDArray[np.float32]:
    """Maps as an array."""
    array: NDArray[np.float32] = maps if isinstance(maps, np.ndarray) else maps.cpu().numpy()
    return array
