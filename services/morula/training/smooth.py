"""Nuclei without texture: what is smooth and round is a nucleus where it has a nucleus's colour."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator

_EDGE_PX = (0.4, 1.0)
_GROUND_PX = (4.0, 12.0)
_SMOOTH_GROUND_P = 0.5


def smoothed(crop: NDArray[np.uint8], labels: NDArray[np.int32], rng: Rng) -> NDArray[np.uint8]:
    """The crop with each object in its own mean colour; sometimes what lies between objects is smooth as well."""
    seen = crop.astype(np.float32)
    which = np.unique(labels, return_inverse=True)[1].reshape(labels.shape)
    counts = np.bincount(which.ravel())
    means = np.stack([np.bincount(which.ravel(), seen[..., n].ravel()) / counts for n in range(3)], axis=1)
    flat = means[which].astype(np.float32)
    outside = (labels == 0).astype(np.float32)[..., None]
    ground = _blurred_within(seen, outside, rng.uniform(*_GROUND_PX)) if rng.random() < _SMOOTH_GROUND_P else seen
    whole = cv2.GaussianBlur(np.where(outside > 0, ground, flat), (0, 0), rng.uniform(*_EDGE_PX))
    return np.asarray(np.clip(np.rint(whole), 0, 255), np.uint8)


def _blurred_within(seen: NDArray[np.float32], within: NDArray[np.float32], spread_px: float) -> NDArray[np.float32]:
    """What lies within, blurred without what lies around it."""
    weight = cv2.GaussianBlur(within, (0, 0), spread_px)[..., None]
    blurred = cv2.GaussianBlur(seen * within, (0, 0), spread_px)
    return np.asarray(blurred / np.maximum(weight, 1e-3), np.float32)
