"""Opens whatever can be opened, by the fastest reader that shows the same pixels as OpenSlide."""

import threading
from collections.abc import Mapping
from math import ceil
from pathlib import Path

import imagecodecs
import numpy as np
import openslide
from PIL import ExifTags, Image

from morula.common.errors import SlideUnreadable
from morula.common.jpeg import is_whole
from morula.tiler.slide import (
    Area,
    Level,
    Pixels,
    Scale,
    Slide,
    blank,
    first_line,
    number_of,
    on_white,
    paste,
    scale_of,
)
from morula.tiler.tiff import TiffSlide
from morula.tiler.tiff_tags import look

OPENSLIDE_CACHE_BYTES = 64 << 20
GENERIC = "generic-tiff"
DIRECT_VENDORS = {"aperio", GENERIC}  # Plain tiled TIFF inside, which decodes five times faster without OpenSlide.
COMPARED_PX = 300
PICTURE_LIMIT_PX = 1 << 28
PICTURES = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg"}


def open_slide(path: Path) -> Slide:
    """Opens a slide; raises SlideUnreadable with one line that says why no reader can."""
    try:
        slide = OpenSlideSlide(path)
    except openslide.OpenSlideError as error:
        return _without_openslide(path, first_line(error))
    return _generic(path, slide) if slide.vendor == GENERIC else _direct(path, slide)


def _without_openslide(path: Path, refusal: str) -> Slide:
    if path.is_file() and not path.stat().st_size:
        raise SlideUnreadable(f"{path.name} is empty", name=path.name)
    try:
        return _picture(path) or TiffSlide(path)
    except SlideUnreadable as error:
        raise SlideUnreadable(f"{path.name} cannot be read: {error}", name=path.name) from error
    except Exception as error:
        # A damaged TIFF makes tifffile raise anything at all; what OpenSlide said of the file tells more.
        detail = f"{path.name} is not a slide that can be read: {refusal}"
        raise SlideUnreadable(detail, name=path.name) from error


def _generic(path: Path, slide: "OpenSlideSlide") -> Slide:
    """Any tiled TIFF: OpenSlide shows it, but reads no OME-XML and scrambles what is turned, deep or stacked."""
    try:
        is_ome, problem = look(path)
    except Exception:  # noqa: BLE001 - whatever tifffile cannot read here, OpenSlide can, and stays in use
        return slide
    if problem:
        slide.close()
        raise SlideUnreadable(f"{path.name} cannot be read: {problem}", name=path.name)
    if not is_ome:
        return _direct(path, slide)
    try:
        direct = TiffSlide(path)
    except SlideUnreadable:
        return slide
    slide.close()
    return direct


def _direct(path: Path, slide: "OpenSlideSlide") -> Slide:
    """The same slide without OpenSlide in between, where that provably shows the same; else the slide itself."""
    if slide.vendor not in DIRECT_VENDORS:
        return slide
    try:
        direct = TiffSlide(path, slide.vendor, slide.scale)
    except Exception:  # noqa: BLE001 - whatever tifffile cannot read here, OpenSlide can, and stays in use
        return slide
    if direct.levels == slide.levels and _shows_holes_as_white(direct) and _alike(slide, direct):
        slide.close()
        return direct
    direct.close()
    return slide


def _shows_holes_as_white(slide: TiffSlide) -> bool:
    """Aperio's missing tiles are painted from the next level, which we leave to OpenSlide."""
    return not slide.is_sparse or slide.vendor == GENERIC


def _alike(one: Slide, other: Slide) -> bool:
    """Compares a corner of every level: there OpenSlide's positions are whole pixels, so nothing is interpolated."""
    for number, level in enumerate(one.levels):
        place = (number, 0, 0, min(COMPARED_PX, level.width_px), min(COMPARED_PX, level.height_px))
        try:
            if not np.array_equal(one.read(*place), other.read(*place)):
                return False
        except SlideUnreadable:
            return False
    return True


def _picture(path: Path) -> "PictureSlide | None":
    """The path as a PNG or JPEG, None where it is neither."""
    with path.open("rb") as file:
        start = file.read(8)
    kind = next((kind for magic, kind in PICTURES.items() if start.startswith(magic)), None)
    return PictureSlide(path, kind) if kind else None


class PictureSlide(Slide):
    """A PNG or JPEG picture, held in memory: one level, no scale of its own."""

    def __init__(self, path: Path, kind: str) -> None:
        content = path.read_bytes()
        if kind == "jpeg" and not is_whole(content):
            # Its decoder would paint the rest grey and say nothing.
            raise SlideUnreadable("the picture ends in the middle")
        decode = imagecodecs.png_decode if kind == "png" else imagecodecs.jpeg8_decode
        pixels = np.asarray(decode(content))
        if pixels.dtype != np.uint8 or pixels.shape[0] * pixels.shape[1] > PICTURE_LIMIT_PX:
            raise SlideUnreadable(f"a picture of {pixels.shape} {pixels.dtype} is too large or not of 8-bit pixels")
        self._levels = [_upright(_picture_rgb(pixels), path)]
        pixels = self._levels[0]
        super().__init__(kind, Scale(), (Level(pixels.shape[1], pixels.shape[0], 1.0),))

    def read(self, level: int, x_px: int, y_px: int, width_px: int, height_px: int) -> Pixels:
        out = blank(width_px, height_px)
        paste(out, self._levels[level], -x_px, -y_px)
        return out

    def close(self) -> None:
        """Nothing is open."""


def _upright(pixels: Pixels, path: Path) -> Pixels:
    """As a camera says that it was held."""
    with Image.open(path) as picture:
        orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    flipped_x, flipped_y = orientation in (2, 3, 6, 7), orientation in (3, 4, 7, 8)
    return np.ascontiguousarray(pixels[:: -1 if flipped_y else 1, :: -1 if flipped_x else 1])


def _picture_rgb(pixels: Pixels) -> Pixels:
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    if pixels.shape[2] == 2:
        pixels = np.concatenate([np.repeat(pixels[..., :1], 3, axis=2), pixels[..., 1:]], axis=2)
    return on_white(pixels) if pixels.shape[2] == 4 else pixels


class OpenSlideSlide(Slide):
    """Everything that OpenSlide reads: what was scanned of it, where the scanner says what that is.

    Glass beside it, which MIRAX and others count in, is left out; so do QuPath and others with whom places are shared.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = self._open()
        self._lock = threading.Lock()
        found = self._handle.properties
        self._scanned = _scanned(found, self._handle.dimensions)
        downsamples = self._handle.level_downsamples
        if self._scanned[2:] == self._handle.dimensions:
            sizes = list(self._handle.level_dimensions)
        else:
            sizes = [(ceil(self._scanned[2] / step), ceil(self._scanned[3] / step)) for step in downsamples]
        super().__init__(
            vendor=found.get(openslide.PROPERTY_NAME_VENDOR, "unknown"),
            scale=scale_of(
                number_of(found.get(openslide.PROPERTY_NAME_MPP_X)),
                number_of(found.get(openslide.PROPERTY_NAME_MPP_Y)),
                number_of(found.get(openslide.PROPERTY_NAME_OBJECTIVE_POWER)),
            ),
            levels=tuple(Level(*size, downsample) for size, downsample in zip(sizes, downsamples, strict=True)),
        )

    def _open(self) -> openslide.OpenSlide:
        handle = openslide.OpenSlide(self._path)
        handle.set_cache(openslide.OpenSlideCache(OPENSLIDE_CACHE_BYTES))
        return handle

    def read(self, level: int, x_px: int, y_px: int, width_px: int, height_px: int) -> Pixels:
        downsample = self.levels[level].downsample
        place = (self._scanned.x_px + round(x_px * downsample), self._scanned.y_px + round(y_px * downsample))
        handle = self._handle
        try:
            image = handle.read_region(place, level, (width_px, height_px))
        except openslide.OpenSlideError as error:
            self._reopen(handle)
            raise SlideUnreadable(f"{self._path.name}: {first_line(error)}", name=self._path.name) from error
        return on_white(np.asarray(image))

    def _reopen(self, failed: openslide.OpenSlide) -> None:
        """OpenSlide answers every later read of a handle with its first error, so a failed handle is replaced."""
        with self._lock:
            if self._handle is not failed:
                return
            try:
                self._handle = self._open()
            except openslide.OpenSlideError as error:
                raise SlideUnreadable(f"{self._path.name}: {first_line(error)}", name=self._path.name) from error

    def close(self) -> None:
        self._handle.close()


def _scanned(found: Mapping[str, str], size_px: tuple[int, int]) -> Area:
    """The part of level 0 that was scanned; all of it where no scanner says so, or nothing sensible.

    Of a plain TIFF OpenSlide says where its first and last stored tiles lie, which is no scanner's word.
    """
    if found.get(openslide.PROPERTY_NAME_VENDOR) == GENERIC:
        return Area(0, 0, *size_px)
    names = (
        openslide.PROPERTY_NAME_BOUNDS_X,
        openslide.PROPERTY_NAME_BOUNDS_Y,
        openslide.PROPERTY_NAME_BOUNDS_WIDTH,
        openslide.PROPERTY_NAME_BOUNDS_HEIGHT,
    )
    area = Area(*(int(number_of(found.get(name))) for name in names))
    inside = area.x_px >= 0 and area.y_px >= 0 and area.width_px > 0 and area.height_px > 0
    if inside and area.x_px + area.width_px <= size_px[0] and area.y_px + area.height_px <= size_px[1]:
        return area
    return Area(0, 0, *size_px)
