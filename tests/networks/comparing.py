"""What tests of devices share: the devices that are here, and how many cells of two images of labels are the same."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

# Tensors take the same way wherever they lie; an accelerator is tried where there is one.
DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def same_cells(some: NDArray[np.int32], others: NDArray[np.int32]) -> int:
    """Cells that are there to the pixel in both."""
    pairs, counts = np.unique(np.stack([some.ravel(), others.ravel()]), axis=1, return_counts=True)
    areas = np.bincount(some.ravel()), np.bincount(others.ravel())
    return sum(a > 0 and b > 0 and areas[0][a] == n == areas[1][b] for (a, b), n in zip(pairs.T, counts, strict=True))
