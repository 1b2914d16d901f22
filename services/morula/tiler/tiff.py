"""TIFF without OpenSlide: its index by tifffile, its tiles by imagecodecs, each decoded once while it is in use."""

import contextlib
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile

from morula.common.errors import SlideUnreadable
from morula.tiler.slide import Area, Level, Pixels, Scale, Slide, StoredTile, blank, first_line, paste
from morula.tiler.tiff_tags import (
    as_rgb,
    check_readable,
    has_jpeg_tiles,
    main_series,
    planes_of,
    problem_of,
    tiff_scale,
)

SEGMENT_CACHE_BYTES = 128 << 20  # A few rows of regions: the halo of one is the core of the next.
# Says "these three components are red, green and blue", which scanners leave to the TIFF around the JPEG.
ADOBE_RGB = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"


class TiffSlide(Slide):
    """Tiled or plain TIFF with 8-bit RGB or grey pixels, together or in planes, OME-TIFF among them.

    `vendor` and `scale` are what a reader that knows the format better says, else the file's own tags.
    """

    def __init__(self, path: Path, vendor: str = "", scale: Scale | None = None) -> None:
        with contextlib.ExitStack() as opened:
            tiff = opened.enter_context(tifffile.TiffFile(path))
            series = main_series(tiff)
            if problem := problem_of(series):
                raise SlideUnreadable(problem)
            self._pages = [level.keyframe for level in series.levels]
            for page in self._pages:
                check_readable(page)
            self._planes = [planes_of(level) for level in series.levels]
            self._are_jpeg = [has_jpeg_tiles(level) for level in series.levels]
            base = self._pages[0]
            levels = tuple(
                Level(
                    page.imagewidth,
                    page.imagelength,
                    (base.imagewidth / page.imagewidth + base.imagelength / page.imagelength) / 2,
                )
                for page in self._pages
            )
            own_vendor = "ome-tiff" if tiff.is_ome else "plain-tiff"
            super().__init__(vendor or own_vendor, scale or tiff_scale(tiff, base), levels)
            self._path = path
            self._file = os.open(path, os.O_RDONLY)
            opened.callback(os.close, self._file)
            self._segments = _SegmentCache()
            self.is_sparse = any(0 in plane.page.databytecounts for planes in self._planes for plane in planes)
            self._opened = opened.pop_all()

    def read(self, level: int, x_px: int, y_px: int, width_px: int, height_px: int) -> Pixels:
        page = self._pages[level]
        inside = 0 <= x_px <= page.imagewidth - width_px and 0 <= y_px <= page.imagelength - height_px
        out = np.empty((height_px, width_px, 3), np.uint8) if inside else blank(width_px, height_px)
        tall, wide = page.chunks[:2]
        for index, row, column in self._touched(level, Area(x_px, y_px, width_px, height_px)):
            paste(out, self._segment(level, index), column * wide - x_px, row * tall - y_px)
        return out

    def _segment(self, level: int, index: int) -> Pixels:
        found = self._segments.get((level, index))
        if found is None:
            found = self._decoded(level, index)
            self._segments.put((level, index), found)
        return found

    def _encoded(self, level: int, index: int, number: int = 0) -> bytes | None:
        """The bytes of one tile or strip of a plane; None where a sparse file holds none."""
        plane = self._planes[level][number]
        offset, length = plane.page.dataoffsets[plane.first + index], plane.page.databytecounts[plane.first + index]
        encoded = os.pread(self._file, length, offset) if length else None
        if encoded is not None and len(encoded) < length:
            raise SlideUnreadable(f"{self._path.name} ends in the middle of piece {index}", name=self._path.name)
        return encoded

    def _decoded(self, level: int, index: int) -> Pixels:
        """One tile or strip as RGB, cut to the level's edge; white where there is none."""
        page = self._pages[level]
        tall, wide = page.chunks[:2]
        row, column = divmod(index, -(-page.imagewidth // wide))
        height, width = min(tall, page.imagelength - row * tall), min(wide, page.imagewidth - column * wide)
        planes = []
        for number, plane in enumerate(self._planes[level]):
            encoded = self._encoded(level, index, number)
            if encoded is None:
                return blank(width, height)
            try:
                if self._are_jpeg[level]:
                    with contextlib.suppress(ValueError):  # It is of another size than a tile; tifffile knows more.
                        return self._jpeg(page, encoded)[:height, :width]
                place = plane.first + index
                decoded = page.decode(encoded, place, jpegtables=page.jpegtables, jpegheader=page.jpegheader)[0]
            except Exception as error:
                detail = f"{self._path.name}: piece {index} cannot be decoded: {first_line(error)}"
                raise SlideUnreadable(detail, name=self._path.name) from error
            planes.append(np.asarray(decoded)[0, :height, :width])
        return as_rgb(planes[0] if len(planes) == 1 else np.concatenate(planes, axis=-1), page)

    def _jpeg(self, page: Any, encoded: bytes) -> Pixels:
        """A JPEG tile of the size that it should have, without all that tifffile does around its decoder."""
        own = tifffile.PHOTOMETRIC.RGB if page.photometric == tifffile.PHOTOMETRIC.RGB and not page.is_jfif else None
        rgb = tifffile.PHOTOMETRIC.RGB
        pixels = np.empty((*page.chunks[:2], 3), np.uint8)
        imagecodecs.jpeg8_decode(encoded, tables=page.jpegtables, colorspace=own, outcolorspace=rgb, out=pixels)
        return pixels

    def jpeg_tiles(self, level: int, area: Area) -> Iterator[StoredTile] | None:
        if not self._are_jpeg[level]:
            return None
        return self._jpeg_tiles(level, area)

    def _jpeg_tiles(self, level: int, area: Area) -> Iterator[StoredTile]:
        page = self._pages[level]
        tall, wide = page.chunks[0], page.chunks[1]
        colour = ADOBE_RGB if page.photometric == tifffile.PHOTOMETRIC.RGB else b""
        tables = (page.jpegtables or b"")[2:-2]  # Without the marks of a picture's start and end.
        for index, row, column in self._touched(level, area):
            encoded = self._encoded(level, index)
            whole = (column + 1) * wide <= page.imagewidth and (row + 1) * tall <= page.imagelength
            jpeg = encoded[:2] + colour + tables + encoded[2:] if encoded and whole else None
            yield StoredTile(Area(column * wide, row * tall, wide, tall), jpeg)

    def is_blank(self, level: int, area: Area) -> bool:
        planes = self._planes[level]
        return self.is_sparse and not any(
            plane.page.databytecounts[plane.first + index]
            for index, _, _ in self._touched(level, area)
            for plane in planes
        )

    def _touched(self, level: int, area: Area) -> Iterator[tuple[int, int, int]]:
        """Index, row and column of the tiles or strips that a rectangle touches."""
        page = self._pages[level]
        tall, wide = page.chunks[0], page.chunks[1]
        across = -(-page.imagewidth // wide)
        for row in range(max(0, area.y_px) // tall, -(-min(area.y_px + area.height_px, page.imagelength) // tall)):
            for column in range(max(0, area.x_px) // wide, -(-min(area.x_px + area.width_px, page.imagewidth) // wide)):
                yield row * across + column, row, column

    def close(self) -> None:
        self._opened.close()


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
