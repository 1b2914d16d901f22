"""Opens whatever can be opened, by the fastest reader that shows the same pixels as OpenSlide."""

import threading
from collections.abc import Collection, Mapping
from math import ceil
from pathlib import Path

import numpy as np
import openslide

from morula.common.errors import SlideUnreadable
from morula.tiler.indexes import check_index
from morula.tiler.pictures import open_picture
from morula.tiler.series import is_smaller
from morula.tiler.slide import Area, Level, Pixels, Slide, first_line, number_of, on_white, scale_of
from morula.tiler.tiff import TiffSlide
from morula.tiler.tiff_tags import MAX_AREA_PX, MAX_SIDE_PX, look

OPENSLIDE_CACHE_BYTES = 64 << 20
GENERIC = "generic-tiff"
DIRECT_VENDORS = {"aperio", GENERIC}  # Plain tiled TIFF inside, which decodes five times faster without OpenSlide.
COMPARED_PX = 300
MAX_LEVELS = 64
TILE_LIMIT_PX = 1 << 28  # OpenSlide needs a gigabyte for a tile of this size.


def open_slide(path: Path, mates: Collection[str] = ()) -> Slide:
    """Opens a slide; raises SlideUnreadable with one line that says why no reader can.

    `mates` are the slide's other files, by their names as seen from this one: no other file is read, whatever an
    index names.
    """
    if not path.stat().st_size:
        raise SlideUnreadable(f"{path.name} is empty", name=path.name)
    check_index(path, mates)
    try:
        slide = OpenSlideSlide(path)
    except openslide.OpenSlideError as error:
        return _checked(path, _without_openslide(path, mates, first_line(error)))
    return _checked(path, _generic(path, mates, slide) if slide.vendor == GENERIC else _direct(path, mates, slide))


def _checked(path: Path, slide: Slide) -> Slide:
    """The slide, if its levels may be what they are said to be."""
    problem = problem_of_levels(slide)
    if problem:
        slide.close()
        raise SlideUnreadable(f"{path.name} cannot be read: {problem}", name=path.name)
    return slide


def problem_of_levels(slide: Slide) -> str:
    """What is wrong with the sizes that a file claims; empty where they make sense."""
    base = (slide.width_px, slide.height_px)
    if max(base) > MAX_SIDE_PX or base[0] * base[1] > MAX_AREA_PX:
        return f"it says that it is {base[0]} x {base[1]} px, more than any slide has"
    if len(slide.levels) > MAX_LEVELS:
        return f"it says that it has {len(slide.levels)} levels, more than any slide has"
    odd = [n for n, level in enumerate(slide.levels) if not is_smaller(base, (level.width_px, level.height_px))]
    return f"level {odd[0]} is not a smaller picture of the same" if odd else ""


def _without_openslide(path: Path, mates: Collection[str], refusal: str) -> Slide:
    if path.suffix.lower() == ".mrxs":  # The .mrxs file itself is only a small JPEG of the whole glass.
        raise SlideUnreadable(f"{path.name} cannot be read: {refusal}", name=path.name)
    try:
        return open_picture(path) or TiffSlide(path, mates=mates)
    except SlideUnreadable as error:
        raise SlideUnreadable(f"{path.name} cannot be read: {error}", name=path.name) from error
    except MemoryError:
        raise
    except Exception as error:
        # A damaged TIFF makes tifffile raise anything at all; the reason that OpenSlide gave tells more.
        detail = f"{path.name} cannot be read as a slide: {refusal}"
        raise SlideUnreadable(detail, name=path.name) from error


def _generic(path: Path, mates: Collection[str], slide: "OpenSlideSlide") -> Slide:
    """Any tiled TIFF: OpenSlide shows it, but reads no OME-XML and scrambles what is turned, deep or stacked."""
    try:
        is_ome, problem = look(path, mates)
    except SlideUnreadable as error:
        is_ome, problem = False, str(error)
    except Exception:  # noqa: BLE001 - whatever tifffile cannot read here, OpenSlide can, and stays in use
        return slide
    if problem:
        slide.close()
        raise SlideUnreadable(f"{path.name} cannot be read: {problem}", name=path.name)
    if not is_ome:
        return _direct(path, mates, slide)
    try:
        direct = TiffSlide(path, mates=mates)
    except SlideUnreadable:
        return slide
    slide.close()
    return direct


def _direct(path: Path, mates: Collection[str], slide: "OpenSlideSlide") -> Slide:
    """The same slide without OpenSlide in between, where that provably shows the same; else the slide itself."""
    if slide.vendor not in DIRECT_VENDORS:
        return slide
    try:
        direct = TiffSlide(path, slide.vendor, slide.scale, mates)
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


class OpenSlideSlide(Slide):
    """Everything that OpenSlide reads: what was scanned of it, where the scanner says what that is.

    Glass beside it, which MIRAX and others count in, is left out; so do QuPath and others with whom places are shared.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = self._open()
        self._lock = threading.Lock()
        properties = self._handle.properties
        self._scanned = _scanned(properties, self._handle.dimensions)
        downsamples = self._handle.level_downsamples
        if self._scanned[2:] == self._handle.dimensions:
            sizes = list(self._handle.level_dimensions)
        else:
            sizes = [(ceil(self._scanned[2] / step), ceil(self._scanned[3] / step)) for step in downsamples]
        super().__init__(
            vendor=properties.get(openslide.PROPERTY_NAME_VENDOR, "unknown"),
            scale=scale_of(
                number_of(properties.get(openslide.PROPERTY_NAME_MPP_X)),
                number_of(properties.get(openslide.PROPERTY_NAME_MPP_Y)),
                number_of(properties.get(openslide.PROPERTY_NAME_OBJECTIVE_POWER)),
            ),
            levels=tuple(Level(*size, downsample) for size, downsample in zip(sizes, downsamples, strict=True)),
        )

    def _open(self) -> openslide.OpenSlide:
        handle = openslide.OpenSlide(self._path)
        tiles = [
            [number_of(handle.properties.get(f"openslide.level[{n}].tile-{side}")) for side in ("width", "height")]
            for n in range(handle.level_count)
        ]
        if any(width * height > TILE_LIMIT_PX for width, height in tiles):
            handle.close()
            raise SlideUnreadable(f"{self._path.name} is stored in pieces that are too large", name=self._path.name)
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


def _scanned(properties: Mapping[str, str], size_px: tuple[int, int]) -> Area:
    """The part of level 0 that was scanned; all of it where no scanner says so, or nothing sensible.

    Of a plain TIFF OpenSlide says where its first and last stored tiles lie, which is no scanner's word.
    """
    if properties.get(openslide.PROPERTY_NAME_VENDOR) == GENERIC:
        return Area(0, 0, *size_px)
    names = (
        openslide.PROPERTY_NAME_BOUNDS_X,
        openslide.PROPERTY_NAME_BOUNDS_Y,
        openslide.PROPERTY_NAME_BOUNDS_WIDTH,
        openslide.PROPERTY_NAME_BOUNDS_HEIGHT,
    )
    area = Area(*(int(number_of(properties.get(name))) for name in names))
    inside = area.x_px >= 0 and area.y_px >= 0 and area.width_px > 0 and area.height_px > 0
    if inside and area.x_px + area.width_px <= size_px[0] and area.y_px + area.height_px <= size_px[1]:
        return area
    return Area(0, 0, *size_px)
