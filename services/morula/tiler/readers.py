"""The two ways to open a slide: OpenSlide, and tifffile for TIFF that OpenSlide refuses. Nothing else reads formats."""

import contextlib
import os
import re
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openslide
import tifffile

from morula.common.errors import SlideUnreadable
from morula.tiler.slide import Level, Pixels, Scale, Slide, blank, scale_of

OPENSLIDE_CACHE_BYTES = 64 << 20
SEGMENT_CACHE_BYTES = 64 << 20
SEGMENT_LIMIT_BYTES = 1 << 30  # A strip or tile that decodes to more is refused: it could not be cut without swapping.
TO_MICRON = {"": 1.0, "µm": 1.0, "μm": 1.0, "um": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6}


def open_slide(path: Path) -> Slide:
    """Opens whatever either library can open; raises SlideUnreadable with one line that says why neither can."""
    try:
        return _OpenSlideSlide(path)
    except openslide.OpenSlideError as error:
        refusal = _line(error)
    try:
        return _TiffSlide(path)
    except SlideUnreadable as error:
        raise SlideUnreadable(f"{path.name} is a TIFF that cannot be read: {error}", name=path.name) from error
    except Exception as error:
        detail = f"{path.name} is not a slide that can be read: {refusal}"
        raise SlideUnreadable(detail, name=path.name) from error


def _line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


class _OpenSlideSlide(Slide):
    """Everything that OpenSlide reads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = self._open()
        self._lock = threading.Lock()
        found = self._handle.properties
        sizes = zip(self._handle.level_dimensions, self._handle.level_downsamples, strict=True)
        super().__init__(
            vendor=found.get(openslide.PROPERTY_NAME_VENDOR, "unknown"),
            scale=scale_of(
                _number(found.get(openslide.PROPERTY_NAME_MPP_X)),
                _number(found.get(openslide.PROPERTY_NAME_MPP_Y)),
                _number(found.get(openslide.PROPERTY_NAME_OBJECTIVE_POWER)),
            ),
            levels=tuple(Level(width, height, downsample) for (width, height), downsample in sizes),
        )

    def _open(self) -> openslide.OpenSlide:
        handle = openslide.OpenSlide(self._path)
        handle.set_cache(openslide.OpenSlideCache(OPENSLIDE_CACHE_BYTES))
        return handle

    def read(self, level: int, x_px: int, y_px: int, width_px: int, height_px: int) -> Pixels:
        downsample = self.levels[level].downsample
        handle = self._handle
        try:
            image = handle.read_region(
                (round(x_px * downsample), round(y_px * downsample)), level, (width_px, height_px)
            )
        except openslide.OpenSlideError as error:
            self._reopen(handle)
            raise SlideUnreadable(f"{self._path.name}: {_line(error)}", name=self._path.name) from error
        return _on_white(np.asarray(image))

    def _reopen(self, failed: openslide.OpenSlide) -> None:
        """OpenSlide answers every later read of a handle with its first error, so a failed handle is replaced."""
        with self._lock:
            if self._handle is not failed:
                return
            try:
                self._handle = self._open()
            except openslide.OpenSlideError as error:
                raise SlideUnreadable(f"{self._path.name}: {_line(error)}", name=self._path.name) from error

    def close(self) -> None:
        self._handle.close()


def _on_white(rgba: Pixels) -> Pixels:
    alpha = cv2.extractChannel(rgba, 3)
    if np.asarray(alpha).min(initial=255) == 255:
        return np.asarray(cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB), np.uint8)
    opaque = rgba[..., 3:].astype(np.uint16)
    mixed = (rgba[..., :3] * opaque + 255 * (255 - opaque) + 127) // 255
    return mixed.astype(np.uint8)


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


class _TiffSlide(Slide):
    """Tiled or plain TIFF with 8-bit RGB or grey pixels, OME-TIFF among them."""

    def __init__(self, path: Path) -> None:
        with contextlib.ExitStack() as opened:
            tiff = opened.enter_context(tifffile.TiffFile(path))
            series = max(tiff.series, key=lambda one: one.keyframe.imagewidth * one.keyframe.imagelength)
            self._pages = [level.keyframe for level in series.levels]
            for page in self._pages:
                _check(page)
            base = self._pages[0]
            levels = tuple(
                Level(
                    page.imagewidth,
                    page.imagelength,
                    (base.imagewidth / page.imagewidth + base.imagelength / page.imagelength) / 2,
                )
                for page in self._pages
            )
            super().__init__("ome-tiff" if tiff.is_ome else "plain-tiff", _tiff_scale(tiff, base), levels)
            self._path = path
            self._file = os.open(path, os.O_RDONLY)
            opened.callback(os.close, self._file)
            self._segments = _SegmentCache()
            self._opened = opened.pop_all()

    def read(self, level: int, x_px: int, y_px: int, width_px: int, height_px: int) -> Pixels:
        page = self._pages[level]
        out = blank(width_px, height_px)
        tall, wide = page.chunks[0], page.chunks[1]
        rows = range(max(0, y_px) // tall, -(-min(y_px + height_px, page.imagelength) // tall))
        columns = range(max(0, x_px) // wide, -(-min(x_px + width_px, page.imagewidth) // wide))
        across = -(-page.imagewidth // wide)
        for row in rows:
            for column in columns:
                segment = self._segment(level, row * across + column)
                _paste(out, segment, column * wide - x_px, row * tall - y_px)
        return out

    def _segment(self, level: int, index: int) -> Pixels:
        found = self._segments.get((level, index))
        if found is None:
            found = self._decoded(self._pages[level], index)
            self._segments.put((level, index), found)
        return found

    def _decoded(self, page: Any, index: int) -> Pixels:
        """One tile or strip as RGB, cut to the level's edge; white where a sparse file holds none."""
        offset, length = page.dataoffsets[index], page.databytecounts[index]
        encoded = os.pread(self._file, length, offset) if length else None
        try:
            if encoded is not None and len(encoded) < length:
                raise ValueError("the file ends in the middle of it")
            decoded, place, shape = page.decode(encoded, index, jpegtables=page.jpegtables, jpegheader=page.jpegheader)
        except Exception as error:
            detail = f"{self._path.name}: piece {index} cannot be decoded: {_line(error)}"
            raise SlideUnreadable(detail, name=self._path.name) from error
        height, width = min(shape[1], page.imagelength - place[2]), min(shape[2], page.imagewidth - place[3])
        if decoded is None:
            return blank(width, height)
        return _as_rgb(decoded[0, :height, :width], page.photometric == tifffile.PHOTOMETRIC.MINISWHITE)

    def close(self) -> None:
        self._opened.close()


def _check(page: Any) -> None:
    """Refuses what this reader would show wrongly rather than guess."""
    readable = {tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR, tifffile.PHOTOMETRIC.MINISBLACK}
    readable.add(tifffile.PHOTOMETRIC.MINISWHITE)
    if page.dtype != np.uint8:
        raise SlideUnreadable(f"its pixels are {page.dtype}, only 8-bit pixels can be read")
    if page.photometric not in readable or page.samplesperpixel not in (1, 3, 4):
        raise SlideUnreadable(f"{page.samplesperpixel} samples of {page.photometric!r} are neither RGB nor grey")
    if page.samplesperpixel > 1 and page.planarconfig != tifffile.PLANARCONFIG.CONTIG:
        raise SlideUnreadable("its colours lie in separate planes")
    if page.imagedepth != 1:
        raise SlideUnreadable("it is a volume, not a slide")
    if page.chunks[0] * page.chunks[1] * page.samplesperpixel > SEGMENT_LIMIT_BYTES:
        raise SlideUnreadable("it is stored in one piece that is too large; save it as a tiled TIFF")


def _tiff_scale(tiff: tifffile.TiffFile, page: Any) -> Scale:
    """OME-XML's physical size of a pixel, else the resolution tags."""
    pixels = re.search(r"<(?:\w+:)?Pixels\b[^>]*>", tiff.ome_metadata or "")
    if pixels is not None:
        attributes = dict(re.findall(r'(\w+)="([^"]*)"', pixels.group()))
        x, y = (
            _number(attributes.get(f"PhysicalSize{axis}"))
            * TO_MICRON.get(attributes.get(f"PhysicalSize{axis}Unit", "µm"), 0.0)
            for axis in "XY"
        )
        stated = scale_of(x, y, 0.0)
        if stated.mpp:
            return stated
    tags = page.tags
    if "XResolution" not in tags or "YResolution" not in tags:
        return Scale()
    x, y = page.get_resolution(tifffile.RESUNIT.MICROMETER)
    return scale_of(1 / x, 1 / y, 0.0) if x > 0 and y > 0 else Scale()


def _as_rgb(pixels: Any, inverted: bool) -> Pixels:
    if pixels.shape[-1] == 1:
        grey = 255 - pixels if inverted else pixels
        return np.repeat(grey, 3, axis=-1)
    return np.ascontiguousarray(pixels[..., :3])


def _paste(out: Pixels, segment: Pixels, left: int, top: int) -> None:
    """Copies the part of `segment` that falls into `out` when its corner lies at (left, top)."""
    height, width = segment.shape[:2]
    y0, y1 = max(top, 0), min(top + height, out.shape[0])
    x0, x1 = max(left, 0), min(left + width, out.shape[1])
    if y0 < y1 and x0 < x1:
        out[y0:y1, x0:x1] = segment[y0 - top : y1 - top, x0 - left : x1 - left]


class _SegmentCache:
    """The decoded tiles or strips that were used last, up to a number of bytes."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, int], Pixels] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: tuple[int, int]) -> Pixels | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: tuple[int, int], segment: Pixels) -> None:
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = segment
            self._bytes += segment.nbytes
            while self._bytes > SEGMENT_CACHE_BYTES and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
