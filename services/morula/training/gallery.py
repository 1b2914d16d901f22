"""Pictures of what a network gets wrong: of each kind of image the worst, with the truth and what was found."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from morula.training.example import Example

_SIDE_PX = 256
_OF_EACH = 2
_TRUTH, _FOUND = (0, 170, 60), (230, 120, 0)
_QUALITY = 88
_TEXT = 0.42

Pixels = NDArray[np.uint8]


class Gallery:
    """Keeps a few images of each kind while they are scored."""

    def __init__(self) -> None:
        self._worst: dict[str, list[tuple[float, str, Pixels]]] = {}

    def add(self, example: Example, labels: NDArray[np.int32], f1: float) -> None:
        """Keeps it if it is among the worst of its kind, once."""
        kept = self._worst.setdefault(example.kind, [])
        kept.append((f1, example.key, _row(example, labels, f1)))
        kept.sort(key=lambda one: one[:2])
        names = [key for _, key, _ in kept]
        self._worst[example.kind] = [one for n, one in enumerate(kept) if names.index(one[1]) == n][:_OF_EACH]

    def jpeg(self) -> bytes:
        """Rows of the image, its truth (green) and what was found (orange), kind after kind."""
        rows = [row for kind in sorted(self._worst) for _, _, row in self._worst[kind]]
        sheet = np.concatenate(rows) if rows else np.full((8, 8, 3), 255, np.uint8)
        return cv2.imencode(".jpg", sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()


def _row(example: Example, labels: NDArray[np.int32], f1: float) -> Pixels:
    """The middle of the image, once as it is and twice with outlines."""
    height, width = labels.shape
    top, left = max(0, (height - _SIDE_PX) // 2), max(0, (width - _SIDE_PX) // 2)
    at = (slice(top, top + _SIDE_PX), slice(left, left + _SIDE_PX))
    pixels = example.pixels[at]
    shown = [pixels, _outlined(pixels, example.labels[at], _TRUTH), _outlined(pixels, labels[at], _FOUND)]
    row = np.full((_SIDE_PX + 18, 3 * _SIDE_PX, 3), 255, np.uint8)
    for n, picture in enumerate(shown):
        row[18 : 18 + picture.shape[0], n * _SIDE_PX : n * _SIDE_PX + picture.shape[1]] = picture
    words = f"{example.kind}  {example.name[:40]}  F1 {f1:.2f}"
    cv2.putText(row, words, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, _TEXT, (0, 0, 0), 1, cv2.LINE_AA)
    return row


def _outlined(pixels: Pixels, labels: NDArray[np.int32], colour: tuple[int, int, int]) -> Pixels:
    edges = np.zeros(labels.shape, bool)
    edges[:-1] |= labels[:-1] != labels[1:]
    edges[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    picture = pixels.copy()
    picture[edges] = colour
    return picture
