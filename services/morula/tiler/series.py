"""Which picture of a TIFF is the slide: never one of its label or of the whole glass, which show patients' names."""

import re
from typing import Any, BinaryIO

import tifffile

from morula.common.errors import SlideUnreadable

BESIDE_NAME = re.compile(r"\b(label|macro|map|thumbnail|overview|barcode|preview)\b", re.IGNORECASE)
BESIDE_TEXT = re.compile(r"(?<![a-z])(label|macro|thumbnail|overview|barcode)(?![a-z])", re.IGNORECASE)
IMAGE_TYPE = re.compile(r"<ImageType>\s*(\w+)")  # PerkinElmer's
SHORT_TEXT = 200
PICTURE_LIMIT = 1000
LEVEL_ERROR = 0.03


def open_alone(file: BinaryIO) -> tifffile.TiffFile:
    """A TIFF without tifffile's ways to other files: names in it are not followed."""
    tiff = tifffile.TiffFile(file, _multifile=False)
    tiff.is_mmstack = tiff.is_ndtiff = False
    count = 0
    for page in tiff.pages or ():
        count += 1 + len(getattr(page, "subifds", None) or ())
        if count > PICTURE_LIMIT:
            raise SlideUnreadable(f"it holds more than {PICTURE_LIMIT} pictures")
    return tiff


def main_series(tiff: tifffile.TiffFile) -> Any:
    """The slide's picture and its pyramid. Where the file does not say which of several that is, none is shown."""
    every = tiff.series
    if not every:
        raise SlideUnreadable("it holds no picture")
    is_aperio = any(series.keyframe.description.startswith("Aperio") for series in every)
    shown = [series for series in every if not _is_beside(series, is_aperio)]
    if not shown:
        raise SlideUnreadable("its only pictures show the slide's label or the whole glass")
    largest = max(shown, key=lambda series: series.keyframe.imagewidth * series.keyframe.imagelength)
    if not is_smaller(_size(largest), _size(shown[0])):
        raise SlideUnreadable("it holds several pictures and does not say which of them is the slide")
    if any(_says_beside(level.keyframe, is_aperio) for level in largest.levels):
        raise SlideUnreadable("one of its levels shows the slide's label or the whole glass")
    return largest


def _size(series: Any) -> tuple[int, int]:
    return series.keyframe.imagewidth, series.keyframe.imagelength


def is_smaller(size_px: tuple[int, int], level_px: tuple[int, int]) -> bool:
    """Whether a level may be a smaller picture of the same; a macro image among the levels has another shape."""
    (width, height), (level_width, level_height) = size_px, level_px
    if not (0 < level_width <= width and 0 < level_height <= height):
        return False
    error = LEVEL_ERROR + 2 / level_width + 2 / level_height  # Sizes are rounded, up or down.
    return abs(width * level_height / (height * level_width) - 1) <= error


def _is_beside(series: Any, is_aperio: bool) -> bool:
    page = series.keyframe
    return bool(page.is_reduced or BESIDE_NAME.search(series.name) or _says_beside(page, is_aperio))


def _says_beside(page: Any, is_aperio: bool) -> bool:
    """As its description tells; Aperio stores in strips what was not scanned."""
    description = page.description
    if is_aperio:
        second = description.splitlines()[1] if description.count("\n") else ""
        return not page.is_tiled or second.lower().startswith(("label", "macro"))
    if kind := IMAGE_TYPE.search(description):
        return bool(BESIDE_NAME.search(kind.group(1)))
    return len(description) < SHORT_TEXT and "<" not in description and BESIDE_TEXT.search(description) is not None
