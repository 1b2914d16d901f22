"""The size model: from the style of an image to the diameter of its objects, by ridge regression."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from morula.training.prepared import Prepared

Style = NDArray[np.float32]
StyleOf = Callable[[NDArray[np.uint8]], Style]

_RIDGE = 1.0
_RANGE_PX = (6.0, 60.0)
_FIELD_PX = 224
_VIEWS = 2


def samples(examples: Sequence[Prepared], diameter_px: float, style_of: StyleOf) -> tuple[NDArray[np.float64], Style]:
    """Logarithms of diameters over the working one, and styles, of images shown at sizes drawn at random."""
    logs, styles = [], []
    for number, example in enumerate(examples):
        rng = np.random.default_rng(number)
        for _ in range(_VIEWS if example.object_count else 0):
            scale = float(np.exp(rng.uniform(*np.log(_RANGE_PX)))) / diameter_px
            styles.append(style_of(_field(example.inside(example.pixels), scale, rng)))
            logs.append(np.log(scale))
    return np.array(logs), np.array(styles, np.float32)


def fit(logs: NDArray[np.float64], styles: Style, diameter_px: float) -> dict[str, NDArray[np.float32]]:
    """What `read_size_model` of the segmenter reads."""
    mean, offset = styles.mean(axis=0), logs.mean()
    centred = (styles - mean).astype(np.float64)
    slope = np.linalg.solve(centred.T @ centred + _RIDGE * np.eye(styles.shape[1]), centred.T @ (logs - offset))
    said = {"A": slope, "smean": mean, "ymean": offset, "diam_mean": diameter_px}
    return {name: np.asarray(value, np.float32) for name, value in said.items()}


def predicted(model: dict[str, NDArray[np.float32]], styles: Style) -> NDArray[np.float64]:
    """Logarithms of diameters over the working one."""
    return np.asarray((styles - model["smean"]).astype(np.float64) @ model["A"] + model["ymean"])


def _field(pixels: NDArray[np.uint8], scale: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A part of the image at another scale, no larger than a network's crop."""
    height, width = pixels.shape[:2]
    side = max(8, int(_FIELD_PX / scale))
    y, x = (int(rng.integers(0, max(1, length - side + 1))) for length in (height, width))
    part = pixels[y : y + side, x : x + side]
    size = tuple(max(16, round(length * scale)) for length in part.shape[1::-1])
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, size, interpolation=smooth), np.uint8)
