"""What a tile is judged by, taken of its parts while each is at hand: it never has to be put together."""

from collections.abc import Iterable
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from morula.tiler.planes import sum_colours
from morula.tiler.slide import PART_UNIT_PX, Part, Pixels
from morula.tiler.tissue import brightest

Grey = npt.NDArray[np.uint8]


class Impression:
    """A tile's grey levels, all of it at a quarter of the scale, and the sum of each of its colours."""

    def __init__(self, width: int, height: int, *, is_dark: bool) -> None:
        self.grey: Grey = np.empty((height, width), np.uint8)
        # A fluorescent dye shines in one channel, of which luminance would show little: a tenth, if it is blue.
        self.light: Grey | None = np.empty((height, width), np.uint8) if is_dark else None
        self.small: Pixels = np.empty((max(1, height // PART_UNIT_PX), max(1, width // PART_UNIT_PX), 3), np.uint8)
        self.colours = np.zeros(3, np.int64)

    @classmethod
    def of(cls, size: tuple[int, int], parts: Iterable[Part], *, is_dark: bool) -> Self:
        """Of a tile of this width and height, in parts as `Slide.parts` gives them."""
        seen = cls(*size, is_dark=is_dark)
        for part in parts:
            seen._add(part)
        return seen

    @classmethod
    def of_whole(cls, pixels: Pixels, *, is_dark: bool) -> Self:
        """Of a tile in one part."""
        return cls.of((pixels.shape[1], pixels.shape[0]), [Part(0, 0, pixels)], is_dark=is_dark)

    @property
    def focused(self) -> Grey:
        """The grey levels that are sharp where the tile is."""
        return self.grey if self.light is None else self.light

    def _add(self, part: Part) -> None:
        height, width = part.pixels.shape[:2]
        rows, columns = slice(part.y, part.y + height), slice(part.x, part.x + width)
        cv2.cvtColor(part.pixels, cv2.COLOR_RGB2GRAY, dst=self.grey[rows, columns])
        if self.light is not None:
            self.light[rows, columns] = brightest(part.pixels)
        small = _shrunk(part.pixels)
        y, x = part.y // PART_UNIT_PX, part.x // PART_UNIT_PX
        self.small[y : y + small.shape[0], x : x + small.shape[1]] = small
        self.colours += sum_colours(part.pixels.reshape(height, -1))


def _shrunk(pixels: Pixels) -> Pixels:
    """At a quarter of the scale: shares of tissue and pen are the same there, for a sixteenth of the work."""
    for _ in range(2):  # Twice by half, for which there is a path three times as fast as by a quarter.
        height, width = pixels.shape[:2]
        half = (width // 2 or 1, height // 2 or 1)
        pixels = np.asarray(cv2.resize(pixels, half, interpolation=cv2.INTER_AREA), np.uint8)
    return pixels
