"""Gaussian blur that stays cheap however wide it is."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

# A blur wider than this many px is done on a coarser grid: a percent of difference for a fraction of the time.
_WIDE_PX = 6


def blurred(image: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """The image under a Gaussian; edges are mirrored."""
    step = max(1, min(int(sigma_px // _WIDE_PX), *image.shape))
    small = cv2.resize(image, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA) if step > 1 else image
    small = cv2.GaussianBlur(small, (0, 0), sigma_px / step, borderType=cv2.BORDER_REFLECT_101)
    whole = cv2.resize(small, image.shape[::-1], interpolation=cv2.INTER_LINEAR) if step > 1 else small
    return np.asarray(whole, np.float32)
