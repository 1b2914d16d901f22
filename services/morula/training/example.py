"""What is learned from: an image with the labels of its objects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Example:
    """An image and the labels of its objects, 0 between them."""

    source: str
    name: str
    group: str
    kind: str
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int32]
    mpp: float = 0.0
    """Microns per pixel; 0 where it is not known."""

    @property
    def key(self) -> str:
        return f"{self.source}/{self.name}"
