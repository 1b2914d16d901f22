"""A slide as the rest of the tiler sees it: a pyramid of RGB pixels at a known scale, and nothing else.

There is no way from here to a slide's label or macro image: they show patients' names.
"""

import abc
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Self

import cv2
import numpy as np
import numpy.typing as npt

from morula.common.compute import Checkpoint, go_on
from morula.common.geometry import SCALE_RANGE_UM

Pixels = npt.NDArray[np.uint8]

WHITE = 255
SOURCE_BLOCK_PX = 4096  # Side of what is held in memory while a large area is reduced: 48 MiB.
PART_UNIT_PX = 4
DIRECT_ERROR_PX = 0.5  # Below this error at the far edge, whole source pixels are taken rather than interpolated.


@dataclass(frozen=True)
class Level:
    """One level of the pyramid; `downsample` is level-0 pixels per pixel of this level."""

    width_px: int
    height_px: int
    downsample: float


@dataclass(frozen=True)
class Scale:
    """Microns per level-0 pixel, 0 where nothing says; `assumed` where it follows from the objective only."""

    mpp: float = 0.0
    objective_power: float = 0.0
    assumed: bool = False


def scale_of(mpp_x: float, mpp_y: float, objective_power: float) -> Scale:
    """The scale that a file states.

    Printers' and screens' defaults (72, 96, 300 dots per inch are 353, 265, 85 um) are no microscope's scale, so an
    implausible number counts as none. Where only the objective is known, 10x is taken as 1 um per pixel.
    """
    mpp = math.sqrt(mpp_x * mpp_y) if plausible_mpp(mpp_x) and plausible_mpp(mpp_y) else 0.0
    if mpp == 0.0 and objective_power > 0:
        return Scale(10.0 / objective_power, objective_power, assumed=True)
    return Scale(mpp, objective_power)


def plausible_mpp(mpp: float) -> bool:
    return math.isfinite(mpp) and SCALE_RANGE_UM[0] <= mpp <= SCALE_RANGE_UM[1]


class Area(NamedTuple):
    """A rectangle in pixels of a level."""

    x_px: int
    y_px: int
    width_px: int
    height_px: int


class Part(NamedTuple):
    """Pixels of a rectangle's part, and where they lie: pixels of the level from the rectangle's corner."""

    x: int
    y: int
    pixels: Pixels


class StoredTile(NamedTuple):
    """A tile as the file holds it; `jpeg` is None where it cannot be handed on as it is."""

    area: Area
    jpeg: bytes | None


class Slide(abc.ABC):
    """One open slide. Safe to read from several threads."""

    def __init__(self, vendor: str, scale: Scale, levels: tuple[Level, ...]) -> None:
        self.vendor = vendor
        self.scale = scale
        self.levels = levels

    @property
    def width_px(self) -> int:
        return self.levels[0].width_px

    @property
    def height_px(self) -> int:
        return self.levels[0].height_px

    @abc.abstractmethod
    def read(self, level: int, x_px: int, y_px: int, width_px: int, height_px: int) -> Pixels:
        """RGB of a rectangle given in pixels of that level; white beyond the edge and where nothing was scanned.

        Raises SlideUnreadable where the file's bytes cannot be decoded; the slide stays usable.
        """

    @abc.abstractmethod
    def close(self) -> None: ...

    def parts(self, level: int, area: Area) -> Iterator[Part]:
        """What `read` gives, in the parts that it is made of, so that nobody has to put them together.

        Each is contiguous. Where there is more than one, they meet and end at multiples of PART_UNIT_PX.
        """
        yield Part(0, 0, self.read(level, *area))

    def jpeg_tiles(self, level: int, area: Area) -> Iterator[StoredTile] | None:  # noqa: ARG002 - others need them
        """The level's own JPEG tiles that a rectangle touches; None where the level is not stored so."""
        return None

    def stands_alone(self, level: int, tile: StoredTile) -> bool:  # noqa: ARG002 - others need them
        """Whether one of `jpeg_tiles`, taken out of its file, decodes to the pixels that it has there."""
        return False

    def is_blank(self, level: int, area: Area) -> bool:  # noqa: ARG002 - others need them
        """Whether the file says without decoding that nothing was scanned there."""
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def level_for(self, downsample: float) -> int:
        """The coarsest level that still holds all the detail of `downsample`."""
        fitting = [i for i, level in enumerate(self.levels) if level.downsample <= downsample * 1.001]
        return max(fitting, key=lambda i: self.levels[i].downsample, default=0)

    def read_scaled(
        self,
        x_px: float,
        y_px: float,
        downsample: float,
        width_px: int,
        height_px: int,
        checkpoint: Checkpoint = go_on,
    ) -> Pixels:
        """RGB of `width_px` x `height_px` pixels of `downsample` level-0 pixels each, from level-0 (x_px, y_px).

        Reads the best level, block by block, so that memory does not grow with the area.
        """
        out = np.empty((height_px, width_px, 3), np.uint8)
        level = self.level_for(downsample)
        step = downsample / self.levels[level].downsample
        side = max(1, int(SOURCE_BLOCK_PX / max(step, 1.0)))
        for rows, columns in _blocks(height_px, width_px, side):
            checkpoint()
            left = (x_px + columns.start * downsample) / self.levels[level].downsample
            top = (y_px + rows.start * downsample) / self.levels[level].downsample
            shape = (columns.stop - columns.start, rows.stop - rows.start)
            out[rows, columns] = self._sample(level, left, top, step, *shape)
        return out

    def _sample(self, level: int, left: float, top: float, step: float, width: int, height: int) -> Pixels:
        """Pixels of `step` level pixels each from (left, top) of the level: whole area averages, then the remainder."""
        whole = max(1, int(step * 1.001))
        rest = step / whole
        if abs(rest - 1.0) * max(width, height) < DIRECT_ERROR_PX:
            area = Area(round(left), round(top), width * whole, height * whole)
            return (
                blank(width, height) if self.is_blank(level, area) else _reduced(self.read(level, *area), width, height)
            )
        x0, y0 = math.floor(left) - whole, math.floor(top) - whole
        reduced_width, reduced_height = math.ceil(width * rest) + 4, math.ceil(height * rest) + 4
        area = Area(x0, y0, reduced_width * whole, reduced_height * whole)
        if self.is_blank(level, area):
            return blank(width, height)
        reduced = _reduced(self.read(level, *area), reduced_width, reduced_height)
        # Centre of output pixel u lies at left + (u + 0.5) * step of the level; where that is in `reduced`:
        shift_x, shift_y = (left - x0) / whole + 0.5 * rest - 0.5, (top - y0) / whole + 0.5 * rest - 0.5
        affine = np.array([[rest, 0.0, shift_x], [0.0, rest, shift_y]])
        warped = cv2.warpAffine(
            reduced, affine, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderValue=(WHITE,) * 3
        )
        return np.asarray(warped, np.uint8)


def blank(width_px: int, height_px: int) -> Pixels:
    return np.full((height_px, width_px, 3), WHITE, np.uint8)


def on_white(rgba: Pixels) -> Pixels:
    alpha = cv2.extractChannel(rgba, 3)
    if np.asarray(alpha).min(initial=WHITE) == WHITE:
        return np.asarray(cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB), np.uint8)
    opaque = rgba[..., 3:].astype(np.uint16)
    mixed = (rgba[..., :3] * opaque + WHITE * (WHITE - opaque) + WHITE // 2) // WHITE
    return mixed.astype(np.uint8)


def paste(out: Pixels, segment: Pixels, left: int, top: int) -> None:
    """Copies the part of `segment` that falls into `out` when its corner lies at (left, top)."""
    height, width = segment.shape[:2]
    y0, y1 = max(top, 0), min(top + height, out.shape[0])
    x0, x1 = max(left, 0), min(left + width, out.shape[1])
    if y0 < y1 and x0 < x1:
        out[y0:y1, x0:x1] = segment[y0 - top : y1 - top, x0 - left : x1 - left]


def first_line(error: BaseException) -> str:
    """What a library's error says, in one line and without this machine's folders."""
    line = (str(error) or type(error).__name__).splitlines()[0]
    return re.sub(r"(?<![\w.])/(?:[^\s/'\":]+/)+", "", line)


def number_of(text: str | None) -> float:
    """A number from a file's properties, 0 where it holds none."""
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


def _reduced(pixels: Pixels, width: int, height: int) -> Pixels:
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _blocks(height: int, width: int, side: int) -> Iterator[tuple[slice, slice]]:
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield slice(top, min(top + side, height)), slice(left, min(left + side, width))
