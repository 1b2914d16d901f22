"""Images whose cells are known, and what a good network would say of them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Labels = NDArray[np.int32]

TILE_PX = 512
CELLS = 150


def nuclei(side: int, count: int, seed: int = 0) -> Labels:
    """About so many ellipses that do not lie on each other."""
    random = np.random.default_rng(seed)
    labels = np.zeros((side, side), np.int32)
    number = 0
    for _ in range(20 * count):
        if number == count:
            break
        axes = random.integers(8, 14, 2)
        place = random.integers(16, side - 16, 2)
        stamp = np.zeros((32, 32), np.uint8)
        cv2.ellipse(stamp, (16, 16), [int(a) for a in axes], float(random.uniform(0, 180)), 0, 360, 1, -1)
        window = labels[place[1] - 16 : place[1] + 16, place[0] - 16 : place[0] + 16]
        if not window[stamp > 0].any():
            number += 1
            window[stamp > 0] = number
    return labels


def painted(labels: Labels, seed: int = 0) -> NDArray[np.uint8]:
    """Purple nuclei on pink, with noise."""
    random = np.random.default_rng(seed)
    colours = np.array([[230, 180, 210], [120, 80, 160]], np.float32)
    noise = random.normal(0, 8, (*labels.shape, 3)).astype(np.float32)
    pixels: NDArray[np.uint8] = np.clip(colours[(labels > 0).astype(int)] + noise, 0, 255).astype(np.uint8)
    return pixels


def flows_of(labels: Labels, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What a good network would say of these labels, a little off."""
    from cellpose import dynamics as stock

    random = np.random.default_rng(seed)
    true, _ = stock.masks_to_flows_gpu(labels)
    errors = np.stack([gaussian_filter(random.normal(0, 0.2, labels.shape), 1.5) * 4 for _ in range(2)])
    logits = np.where(labels > 0, 6.0, -6.0) + random.normal(0, 1, labels.shape)
    return ((true + errors) * 5 * (labels > 0)).astype(np.float32), logits.astype(np.float32)
