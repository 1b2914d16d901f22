"""What a network sees of an image: named planes, scaled so that dark and bright of the slide are 0 and 1.

A plane of 8-bit pixels takes few values, so it is scaled by a table, and its percentiles come from a histogram.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morula.common.densities import optical_density, unmix
from morula.common.errors import InvalidArgument
from morula.common.segmentation import Normalization
from morula.segmenter.instances import Calibration

Plane = NDArray[np.float32]
Pixels = NDArray[Any]

PERCENTILES = (1.0, 99.0)
# A channel that varies by less holds no signal: scaling it would amplify noise.
_LEAST_RANGE = 1e-3
_COLOURS = ("red", "green", "blue")


@dataclass(frozen=True)
class _Signal:
    """Values of a plane: `values[index]`, or `index` itself where there is no table."""

    index: NDArray[Any]
    values: Plane | None

    def scaled(self, low: float, high: float) -> Plane:
        if high - low <= _LEAST_RANGE:
            return np.zeros(self.index.shape, np.float32)
        if self.values is None:
            plain: Plane = (self.index.astype(np.float32) - np.float32(low)) / np.float32(high - low)
            return plain
        table: Plane = (self.values - np.float32(low)) / np.float32(high - low)
        shown: Plane = table[self.index]
        return shown

    def percentiles(self) -> tuple[float, float]:
        if self.values is None:
            low, high = np.percentile(self.index, PERCENTILES)
            return float(low), float(high)
        counts = np.bincount(self.index.ravel(), minlength=self.values.size)
        low, high = (_percentile(counts, self.values, q) for q in PERCENTILES)
        return low, high


def planes(pixels: Pixels, names: Sequence[str], calibration: Calibration, normalize: Normalization) -> Plane:
    """Planes (channels, height, width) of an image (height, width, 3), 8 or 16 bits or floats.

    Names are red, green, blue, gray, fluorescence (the brightest colour), haematoxylin (its density) and none (zeros);
    `inverted_` before one turns dark into bright.
    """
    _check(pixels)
    return np.stack([_plane(pixels, name, calibration, normalize) for name in names])


def eight_bits(pixels: Pixels) -> NDArray[np.uint8]:
    """The image itself where it has 8 bits, else scaled by its own percentiles."""
    _check(pixels)
    if pixels.dtype == np.uint8:
        return pixels
    scaled = np.clip(planes(pixels, _COLOURS, Calibration(), "image") * 255, 0, 255)
    return np.ascontiguousarray(np.moveaxis(scaled, 0, -1).astype(np.uint8))


def _plane(pixels: Pixels, name: str, calibration: Calibration, normalize: Normalization) -> Plane:
    plain = name.removeprefix("inverted_")
    if plain == "none":
        return np.zeros(pixels.shape[:2], np.float32)
    signal = _signal(pixels, plain, calibration)
    if normalize == "none":
        scaled = signal.scaled(0.0, 1.0)
    elif normalize == "slide" and len(calibration.low) == len(calibration.high) == 3 and pixels.dtype == np.uint8:
        scaled = signal.scaled(*_slide_range(plain, calibration))
    else:
        scaled = signal.scaled(*signal.percentiles())
    return scaled if plain == name else 1 - scaled


def _signal(pixels: Pixels, name: str, calibration: Calibration) -> _Signal:
    if name == "haematoxylin":
        density = optical_density(eight_bits(pixels))
        return _Signal(unmix(density, calibration.stain_matrix)[..., 0], None)
    if name in _COLOURS:
        plane = pixels[..., _COLOURS.index(name)]
        return _Signal(plane, _values(pixels.dtype, 1))
    if name == "gray":
        if pixels.dtype.kind == "u":
            return _Signal(pixels.sum(axis=2, dtype=np.int32), _values(pixels.dtype, 3))
        return _Signal(pixels.mean(axis=2), None)
    if name == "fluorescence":
        return _Signal(pixels.max(axis=2), _values(pixels.dtype, 1))
    raise InvalidArgument(f"there is no channel {name!r}")


def _values(kind: np.dtype[Any], summed: int) -> Plane | None:
    """Every value that a mean of so many pixels takes, in order."""
    if kind.kind != "u":
        return None
    return (np.arange(summed * np.iinfo(kind).max + 1) / summed).astype(np.float32)


def _slide_range(name: str, calibration: Calibration) -> tuple[float, float]:
    """The slide's range of a plane, from that of its three colours."""
    low, high = np.asarray(calibration.low, np.float64), np.asarray(calibration.high, np.float64)
    if name in _COLOURS:
        n = _COLOURS.index(name)
        return float(low[n]), float(high[n])
    if name == "fluorescence":
        return float(low.max()), float(high.max())
    if name == "gray":
        return float(low.mean()), float(high.mean())
    ends = np.clip(np.stack([high, low])[None], 0, 255).astype(np.uint8)
    pale, dark = unmix(optical_density(ends), calibration.stain_matrix)[0, :, 0]
    return float(pale), float(dark)


def _percentile(counts: NDArray[np.int64], values: Plane, q: float) -> float:
    """The percentile of all pixels, between the two nearest ranks."""
    below = np.cumsum(counts)
    rank = q / 100 * (below[-1] - 1)
    first, second = values[np.searchsorted(below, [np.floor(rank), np.ceil(rank)], side="right")].astype(np.float64)
    return float(first + (second - first) * (rank - np.floor(rank)))


def _check(pixels: Pixels) -> None:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise InvalidArgument(f"an image of shape {pixels.shape} is no RGB image")
    if pixels.dtype.kind == "u" and pixels.dtype.itemsize <= 2:
        return
    if pixels.dtype.kind != "f":
        raise InvalidArgument(f"pixels of {pixels.dtype} are neither 8 nor 16 bits nor floats")
    if not np.isfinite(pixels).all():
        raise InvalidArgument("some pixels are not finite numbers (NaN or infinity)")
