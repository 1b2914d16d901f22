"""What a tile is judged by, taken of its parts while each is at hand: it never has to be put together."""

from collections.abc import Iterable
from typing import Self

import numpy as np
import numpy.typing as npt

from morula.tiler.planes import shrink, write_grey
from morula.tiler.slide import PART_UNIT_PX, Part, Pixels
from morula.tiler.tissue import brightest

Grey = npt.NDArray[np.uint8]


class Impression:
    """A tile's grey levels, all of it at a quarter of the scale, and the sum of each of its colours.

    Shares of tissue and ink are the same at a quarter of the scale, for a sixteenth of the work.
    """

    def __init__(self, width: int, height: int, *, is_dark: bool) -> None:
        self.grey: Grey = np.empty((height, width), np.uint8)
        # A fluorescent dye shines in one channel, of which luminance would show little: a tenth, if it is blue.
        self.light: Grey | None = np.empty((height, width), np.uint8) if is_dark else None
        self.small: Pixels = np.empty((-(-height // PART_UNIT_PX), -(-width // PART_UNIT_PX), 3), np.uint8)
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
        return cls.of((pixels.shape[1], pixels.shape[0]), [Part(0, 0, np.ascontiguousarray(pixels))], is_dark=is_dark)

    @property
    def focused(self) -> Grey:
        """The grey levels that are sharp where the tile is."""
        return self.grey if self.light is None else self.light

    def _add(self, part: Part) -> None:
        write_grey(part.pixels, self.grey, part.x, part.y)
        if self.light is not None:
            light = brightest(part.pixels)
            self.light[part.y : part.y + len(light), part.x : part.x + light.shape[1]] = light
        self.colours += shrink(part.pixels, self.small, part.x // PART_UNIT_PX, part.y // PART_UNIT_PX)
