"""TIFF without OpenSlide: its index by tifffile, its tiles by imagecodecs, each decoded once while it is in use."""

import contextlib
import os
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import imagecodecs
import numpy as np
import tifffile

from morula.common.errors import ArtifactInvalid, SlideUnreadable
from morula.common.jpeg import header_of
from morula.common.pieces import Piece, decode_piece
from morula.tiler.slide import (
    PART_UNIT_PX,
    Area,
    Level,
    Part,
    Pixels,
    Scale,
    Slide,
    StoredTile,
    blank,
    first_line,
    paste,
)
from morula.tiler.tiff_files import TiffFiles
from morula.tiler.tiff_tags import Plane, Storage, as_rgb, check_piece, check_readable, problem_of, tiff_scale

SEGMENT_CACHE_BYTES = 128 << 20  # A few rows of regions: the halo of one is the core of the next.
# Where rows begin: those aligned to 32 bytes the decoder writes past the caches, and we read them at once.
UNALIGNED_BYTES = 8
# Says "these three components are red, green and blue", which scanners leave to the TIFF around the JPEG.
ADOBE_RGB = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"


class Segment(NamedTuple):
    """A tile or strip decoded; `encoded` are the bytes of one that is a whole JPEG tile."""

    pixels: Pixels
    encoded: bytes = b""

    @property
    def size_bytes(self) -> int:
        return self.pixels.nbytes + len(self.encoded)


class TiffSlide(Slide):
    """Tiled or plain TIFF with 8-bit RGB or grey pixels, together or in planes, OME-TIFF among them.

    `vendor` and `scale` are what a reader that knows the format better says, else the file's own tags.
    """

    def __init__(self, path: Path, vendor: str = "", scale: Scale | None = None, mates: Collection[str] = ()) -> None:
        with contextlib.ExitStack() as opened:
            files = opened.enter_context(contextlib.closing(TiffFiles(path, mates)))
            series = files.series
            if problem := problem_of(series):
                raise SlideUnreadable(problem)
            for level in series.levels:
                check_readable(level.keyframe)
            self._stored = [Storage.of(level) for level in series.levels]
            base = self._stored[0]
            levels = tuple(
                Level(
                    stored.width_px,
                    stored.height_px,
                    (base.width_px / stored.width_px + base.height_px / stored.height_px) / 2,
                )
                for stored in self._stored
            )
            own_vendor = "ome-tiff" if files.tiff.is_ome else "plain-tiff"
            own_scale = scale or tiff_scale(files.tiff, base.page, files.description)
            super().__init__(vendor or own_vendor, own_scale, levels)
            self._path = path
            self._files = files
            self._segments = _SegmentCache()
            self._proven: dict[int, bytes] = {}
            self.is_sparse = any(0 in plane.page.databytecounts for stored in self._stored for plane in stored.planes)
            self._opened = opened.pop_all()

    def read(self, level: int, x_px: int, y_px: int, width_px: int, height_px: int) -> Pixels:
        stored, area = self._stored[level], Area(x_px, y_px, width_px, height_px)
        out = np.empty((height_px, width_px, 3), np.uint8) if stored.holds(area) else blank(width_px, height_px)
        for index, left, top in stored.touched(area):
            paste(out, self._segment(level, index).pixels, left - x_px, top - y_px)
        return out

    def parts(self, level: int, area: Area) -> Iterator[Part]:
        stored = self._stored[level]
        x, y, width, height = area
        if not stored.holds(area) or (x | y | width | height | stored.tall | stored.wide) % PART_UNIT_PX:
            yield from super().parts(level, area)
            return
        for index, left, top in stored.touched(area):
            u, v, segment = left - x, top - y, self._segment(level, index).pixels
            if u < 0 or v < 0 or u + stored.wide > width or v + stored.tall > height:
                segment = np.ascontiguousarray(segment[max(0, -v) : height - v, max(0, -u) : width - u])
            yield Part(max(0, u), max(0, v), segment)

    def _segment(self, level: int, index: int) -> Segment:
        decoded = self._segments.get((level, index))
        if decoded is None:
            decoded = self._decoded(self._stored[level], index)
            self._segments.put((level, index), decoded)
        return decoded

    def _extent(self, plane: Plane, index: int) -> tuple[int, int]:
        """Where in the file a piece of a plane begins, and its length; 0 where a sparse file holds none."""
        place, page = plane.first + index, plane.page
        if place < min(len(page.dataoffsets), len(page.databytecounts)):
            offset, length = page.dataoffsets[place], page.databytecounts[place]
            if 0 <= offset <= offset + length <= self._files.extent_of(page)[1]:
                return offset, length
        detail = f"{self._path.name}: piece {index} lies beyond the end of the file"
        raise SlideUnreadable(detail, name=self._path.name)

    def _encoded(self, plane: Plane, index: int) -> bytes | None:
        """The bytes of one piece of a plane; None where a sparse file holds none."""
        offset, length = self._extent(plane, index)
        encoded = os.pread(self._files.extent_of(plane.page)[0], length, offset) if length else None
        if encoded is not None and len(encoded) < length:
            raise SlideUnreadable(f"{self._path.name} ends in the middle of piece {index}", name=self._path.name)
        return encoded

    def _decoded(self, stored: Storage, index: int) -> Segment:
        """One piece as RGB, cut to the level's edge; white where there is none."""
        page, (height, width) = stored.page, stored.size(index)
        planes = []
        for plane in stored.planes:
            encoded = self._encoded(plane, index)
            if encoded is None:
                return Segment(blank(width, height))
            try:
                check_piece(page, encoded, stored.tall, stored.wide)
                if stored.is_jpeg:
                    with contextlib.suppress(ValueError):  # Not the size of a tile: tifffile decodes it instead.
                        return Segment(_cut(_jpeg(stored, encoded), height, width), encoded)
                place = plane.first + index
                decoded = page.decode(encoded, place, jpegtables=page.jpegtables, jpegheader=page.jpegheader)[0]
            except Exception as error:
                detail = f"{self._path.name}: piece {index} cannot be decoded: {first_line(error)}"
                raise SlideUnreadable(detail, name=self._path.name) from error
            planes.append(_cut(np.asarray(decoded)[0], height, width))
        return Segment(as_rgb(planes[0] if len(planes) == 1 else np.concatenate(planes, axis=-1), page))

    def jpeg_tiles(self, level: int, area: Area) -> Iterator[StoredTile] | None:
        return self._jpeg_tiles(level, area) if self._stored[level].is_jpeg else None

    def _jpeg_tiles(self, level: int, area: Area) -> Iterator[StoredTile]:
        stored = self._stored[level]
        (plane,), (tall, wide) = stored.planes, (stored.tall, stored.wide)
        colour = ADOBE_RGB if stored.page.photometric == tifffile.PHOTOMETRIC.RGB else b""
        tables = colour + (stored.page.jpegtables or b"")[2:-2]  # Without the marks of a picture's start and end.
        for index, left, top in stored.touched(area):
            known = self._segments.get((level, index))
            encoded = known.encoded if known and known.encoded else self._encoded(plane, index)
            whole = left + wide <= stored.width_px and top + tall <= stored.height_px
            jpeg = encoded[:2] + tables + encoded[2:] if encoded and tables else encoded
            yield StoredTile(Area(left, top, wide, tall), jpeg if whole else None)

    def stands_alone(self, level: int, tile: StoredTile) -> bool:
        """Tiles of one header are decoded alike, so one of them stands for all that follow."""
        jpeg, proven = tile.jpeg or b"", self._proven.get(level)
        if proven and jpeg.startswith(proven):
            return True
        header = header_of(jpeg)
        if not header:
            return False
        stored, area = self.read(level, *tile.area), tile.area
        try:
            alone = decode_piece(Piece(0, 0, area.width_px, area.height_px, "jpeg", jpeg))
        except ArtifactInvalid:
            return False
        if not np.array_equal(alone, stored):
            return False
        self._proven[level] = header
        return True

    def is_blank(self, level: int, area: Area) -> bool:
        stored = self._stored[level]
        return self.is_sparse and not any(
            self._extent(plane, index)[1] for index, _, _ in stored.touched(area) for plane in stored.planes
        )

    def close(self) -> None:
        self._opened.close()


def _cut(pixels: Pixels, height: int, width: int) -> Pixels:
    """Copied where anything is cut off, which would otherwise be kept with the rest."""
    return pixels if pixels.shape[:2] == (height, width) else pixels[:height, :width].copy()


def _jpeg(stored: Storage, encoded: bytes) -> Pixels:
    """A JPEG tile of the size that it should have, without all that tifffile does around its decoder."""
    page, rgb = stored.page, tifffile.PHOTOMETRIC.RGB
    own = rgb if stored.is_plain_rgb else None
    size = stored.tall * stored.wide * 3
    pixels = np.empty(UNALIGNED_BYTES + size, np.uint8)[UNALIGNED_BYTES:].reshape(stored.tall, stored.wide, 3)
    imagecodecs.jpeg8_decode(encoded, tables=page.jpegtables, colorspace=own, outcolorspace=rgb, out=pixels)
    return pixels


class _SegmentCache:
    """The decoded tiles or strips that were used last, up to a number of bytes."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, int], Segment] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: tuple[int, int]) -> Segment | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: tuple[int, int], segment: Segment) -> None:
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = segment
            self._bytes += segment.size_bytes
            while self._bytes > SEGMENT_CACHE_BYTES and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].size_bytes
