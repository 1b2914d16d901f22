"""Pictures for people: a rectangle of the slide, or a sheet of windows around points."""

import math
from collections.abc import Sequence

import imagecodecs
import numpy as np

from morula.common.compute import Checkpoint
from morula.common.errors import InvalidArgument
from morula.tiler.slide import Slide, blank

JPEG_QUALITY = 85
MAX_SIDE_PX = 4096
MAX_CELL_COUNT = 256
MAX_CELL_PX = 512
MAX_WINDOW_UM = 2000.0


def render_region(
    slide: Slide,
    x_px: int,
    y_px: int,
    width_px: int,
    height_px: int,
    downsample: float,
    checkpoint: Checkpoint,
    *,
    lossless: bool = False,
) -> bytes:
    """A JPEG, or a PNG, of `width_px` x `height_px`, white beyond the slide's edge."""
    if not (1 <= width_px <= MAX_SIDE_PX and 1 <= height_px <= MAX_SIDE_PX):
        raise InvalidArgument(f"a picture has 1 to {MAX_SIDE_PX} px, not {width_px} x {height_px}")
    # At larger values the whole slide is less than a pixel; the comparison is false for NaN, too.
    if not 2**-6 <= downsample <= max(slide.width_px, slide.height_px, 64):
        raise InvalidArgument(f"downsample {downsample} is out of range")
    pixels = slide.read_scaled(x_px, y_px, downsample, width_px, height_px, checkpoint)
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels), level=1)) if lossless else _jpeg(pixels)


def render_cells(
    slide: Slide,
    slide_mpp: float,
    centres: Sequence[tuple[float, float]],
    window_um: float,
    cell_px: int,
    checkpoint: Checkpoint,
) -> tuple[bytes, int]:
    """A JPEG sheet of windows around level-0 points, all at one scale, and how many stand in a row."""
    if not 1 <= len(centres) <= MAX_CELL_COUNT:
        raise InvalidArgument(f"a sheet shows 1 to {MAX_CELL_COUNT} cells, not {len(centres)}")
    if not 1 <= cell_px <= MAX_CELL_PX or not 0 < window_um <= MAX_WINDOW_UM:
        raise InvalidArgument(f"{cell_px} px or {window_um} um is out of range")
    columns = math.ceil(math.sqrt(len(centres)))
    sheet = blank(columns * cell_px, -(-len(centres) // columns) * cell_px)
    side_px = window_um / slide_mpp
    for number, (x, y) in enumerate(centres):
        if not _near(x, slide.width_px) or not _near(y, slide.height_px):
            raise InvalidArgument(f"centre {number} at {x}, {y} is not on the slide")
        line, column = divmod(number, columns)
        place = (x - side_px / 2, y - side_px / 2, side_px / cell_px)
        picture = slide.read_scaled(*place, cell_px, cell_px, checkpoint)
        sheet[line * cell_px : (line + 1) * cell_px, column * cell_px : (column + 1) * cell_px] = picture
    return _jpeg(sheet), columns


def _near(place: float, size_px: int) -> bool:
    return 0 <= place <= size_px


def _jpeg(pixels: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> bytes:
    return bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(pixels), level=JPEG_QUALITY))
