"""What the tags of a TIFF say of its pixels: whether they can be shown as they are meant, and how large they are."""

import contextlib
import re
import struct
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import tifffile

from morula.common.errors import SlideUnreadable
from morula.common.jpeg import jpeg_size
from morula.tiler.pictures import SCAN_LIMIT, png_size
from morula.tiler.slide import WHITE, Area, Pixels, Scale, number_of, on_white, scale_of
from morula.tiler.tiff_files import COLOURS, TiffFiles

SEGMENT_LIMIT_BYTES = 1 << 30  # A strip or tile that decodes to more is refused: it could not be cut without swapping.
PACKED_LIMIT_BYTES = 256 << 20  # The same limit for a compressed one: a few bytes may decompress to all of it.
MAX_SIDE_PX = 1 << 22  # Four million pixels, a metre of glass at 40x: more is a damaged header.
MAX_AREA_PX = 1 << 40
SCAN_BEGINS = b"\xff\xda"
PADDING_PX = 16  # JPEG's own blocks may reach so far beyond a tile.
TO_MICRON = {"": 1.0, "µm": 1.0, "μm": 1.0, "um": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6}
TO_MICRON |= {"micron": 1.0, "microns": 1.0, "inch": 25_400.0}  # ImageJ's words.


class Plane(NamedTuple):
    """Where a level's pixels lie: a page's pieces from a number on."""

    page: Any
    first: int


@dataclass(frozen=True, slots=True)
class Storage:
    """How a level lies in its file: in pieces (tiles or strips) of `tall` x `wide` px, `across` of them in a row."""

    page: Any
    planes: list[Plane]
    is_jpeg: bool
    is_plain_rgb: bool
    """Whether the colours of JPEG tiles are red, green and blue, without their saying so."""
    width_px: int
    height_px: int
    tall: int
    wide: int
    across: int

    @classmethod
    def of(cls, level: Any) -> Self:
        page, (tall, wide) = level.keyframe, level.keyframe.chunks[:2]
        across = -(-page.imagewidth // wide)
        is_jpeg = has_jpeg_tiles(level)
        is_plain_rgb = is_jpeg and page.photometric == tifffile.PHOTOMETRIC.RGB and not page.is_jfif
        size = (page.imagewidth, page.imagelength)
        return cls(page, planes_of(level), is_jpeg, is_plain_rgb, *size, tall, wide, across)

    def holds(self, area: Area) -> bool:
        """Whether all of a rectangle lies within the level."""
        x, y, width, height = area
        return 0 <= x <= self.width_px - width and 0 <= y <= self.height_px - height

    def touched(self, area: Area) -> Iterator[tuple[int, int, int]]:
        """Number, left and top, in px of the level, of the pieces that a rectangle of the level touches."""
        x, y, width, height = area
        columns = range(max(0, x) // self.wide, -(-min(x + width, self.width_px) // self.wide))
        for row in range(max(0, y) // self.tall, -(-min(y + height, self.height_px) // self.tall)):
            for column in columns:
                yield row * self.across + column, column * self.wide, row * self.tall

    def size(self, index: int) -> tuple[int, int]:
        """Height and width of a piece, cut off at the level's edge."""
        row, column = divmod(index, self.across)
        return min(self.tall, self.height_px - row * self.tall), min(self.wide, self.width_px - column * self.wide)


def look(path: Path, mates: Collection[str]) -> tuple[bool, str]:
    """Whether a TIFF is an OME-TIFF, and why no reader shows it as it is meant; empty where nothing is known."""
    with contextlib.closing(TiffFiles(path, mates)) as files:
        return files.tiff.is_ome, problem_of(files.series)


def problem_of(series: Any) -> str:
    """Why the picture would be shown otherwise than it is meant; empty where it would not."""
    page = series.keyframe
    if page.dtype != np.uint8:
        return f"its pixels are {page.dtype}, only 8-bit pixels can be read"
    orientation = page.tags.valueof("Orientation", 1)
    if orientation > 1:
        return f"it is stored turned or mirrored (orientation {int(orientation)}); save it upright"
    if page.imagedepth != 1:
        return "it is a volume, not a flat picture"
    stacked = {axis: size for axis, size in zip(series.axes, series.shape, strict=True) if axis not in "YXS"}
    stacked = {axis: size for axis, size in stacked.items() if size > 1}
    if stacked and (stacked != {"C": COLOURS} or page.samplesperpixel != 1):
        parts = " x ".join(f"{size} {axis}" for axis, size in stacked.items())
        return f"it is a stack ({parts}) and not one picture in grey or in red, green and blue"
    return ""


def check_readable(page: Any) -> None:
    """Refuses what our own reader cannot decode, or only into too much memory."""
    readable = {tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR, tifffile.PHOTOMETRIC.MINISBLACK}
    readable.add(tifffile.PHOTOMETRIC.MINISWHITE)
    if page.photometric not in readable or page.samplesperpixel not in (1, COLOURS, COLOURS + 1):
        raise SlideUnreadable(
            f"its pixels ({page.samplesperpixel} x {_name(page.photometric)}) are neither grey nor RGB"
        )
    if page.compression not in PACKINGS:
        raise SlideUnreadable(f"its compression ({_name(page.compression)}) is not supported")
    is_stored = page.compression == tifffile.COMPRESSION.NONE
    limit = SEGMENT_LIMIT_BYTES if is_stored else PACKED_LIMIT_BYTES
    if page.chunks[0] * page.chunks[1] * page.samplesperpixel > limit:
        raise SlideUnreadable("it is stored in one piece that is too large: save it as a tiled TIFF")
    width, height = page.imagewidth, page.imagelength
    if max(width, height) > MAX_SIDE_PX or width * height > MAX_AREA_PX:
        raise SlideUnreadable(f"it says that it is {width} x {height} px, more than any slide has")
    planes = page.samplesperpixel if page.planarconfig != tifffile.PLANARCONFIG.CONTIG else 1
    needed = -(-width // page.chunks[1]) * -(-height // page.chunks[0]) * planes
    if min(len(page.dataoffsets), len(page.databytecounts)) < needed:
        raise SlideUnreadable(
            f"it says that it is {width} x {height} px and holds fewer pixels: was it copied completely?"
        )


def _name(tag: Any) -> str:
    """A tag's value by its name, where it has one."""
    return str(getattr(tag, "name", tag))


def check_piece(page: Any, encoded: bytes, tall: int, wide: int) -> None:
    """Refuses a piece that says of itself that it is larger than its place: a decoder would believe it."""
    measure = MEASURES.get(page.compression)
    size = measure(encoded) if measure else None
    if size and not (size[0] <= wide + PADDING_PX and size[1] <= tall + PADDING_PX):
        raise SlideUnreadable(
            f"one of its pieces says that it is {size[0]} x {size[1]} px, where {wide} x {tall} are expected"
        )
    if measure is jpeg_size and encoded.count(SCAN_BEGINS) > SCAN_LIMIT:
        raise SlideUnreadable("one of its JPEG tiles is stored in too many passes")


def _jpeg2000_size(encoded: bytes) -> tuple[int, int] | None:
    """Width and height in the codestream's header."""
    place = encoded.find(b"\xff\x4f\xff\x51")
    if place < 0 or len(encoded) < place + 24:
        return None
    right, bottom, left, top = struct.unpack_from(">IIII", encoded, place + 8)
    return right - left, bottom - top


def _png_size(encoded: bytes) -> tuple[int, int] | None:
    return png_size(encoded)[:2]


PACKED = tifffile.COMPRESSION
MEASURES: dict[int, Callable[[bytes], tuple[int, int] | None]] = {
    **dict.fromkeys((PACKED.JPEG, PACKED.ALT_JPEG, PACKED.JPEG_LOSSY), jpeg_size),
    **dict.fromkeys((PACKED.APERIO_JP2000_YCBC, PACKED.APERIO_JP2000_RGB), _jpeg2000_size),
    **dict.fromkeys((PACKED.JPEG_2000_LOSSY, PACKED.JPEG2000), _jpeg2000_size),
    PACKED.PNG: _png_size,
}
# Those whose pieces either say how large they are or are given so much memory and no more. WebP's are small by nature.
PACKINGS = {*MEASURES, PACKED.NONE, PACKED.LZW, PACKED.ADOBE_DEFLATE, PACKED.DEFLATE, PACKED.PACKBITS, PACKED.LZMA}
PACKINGS |= {PACKED.ZSTD, PACKED.ZSTD_DEPRECATED, PACKED.WEBP, PACKED.WEBP_DEPRECATED}


def planes_of(level: Any) -> list[Plane]:
    """One plane with all colours, else one of each colour: in one page, or in a page each."""
    page = level.keyframe
    if page.samplesperpixel > 1 and page.planarconfig != tifffile.PLANARCONFIG.CONTIG:
        count = len(page.dataoffsets) // page.samplesperpixel
        return [Plane(page, number * count) for number in range(page.samplesperpixel)]
    if None in level.pages:
        raise SlideUnreadable("one of its colours is missing")
    return [Plane(page, 0) for page in level.pages]


def has_jpeg_tiles(level: Any) -> bool:
    """Whether its tiles are JPEG pictures in colour."""
    page = level.keyframe
    return bool(
        page.compression == tifffile.COMPRESSION.JPEG
        and page.is_tiled
        and page.samplesperpixel == COLOURS
        and page.planarconfig == tifffile.PLANARCONFIG.CONTIG
        and not page.jpegheader
    )


def tiff_scale(tiff: tifffile.TiffFile, page: Any, description: str) -> Scale:
    """OME-XML's physical size of a pixel, else the resolution tags, whose unit ImageJ tells in its own way."""
    pixels = re.search(r"<(?:\w+:)?Pixels\b[^>]*>", description)
    if pixels is not None:
        attributes = dict(re.findall(r'(\w+)="([^"]*)"', pixels.group()))
        x, y = (
            number_of(attributes.get(f"PhysicalSize{axis}"))
            * TO_MICRON.get(attributes.get(f"PhysicalSize{axis}Unit", "µm"), 0.0)
            for axis in "XY"
        )
        stated = scale_of(x, y, 0.0)
        if stated.mpp:
            return stated
    tags = page.tags
    if "XResolution" not in tags or "YResolution" not in tags:
        return Scale()
    if tiff.is_imagej:
        unit_um = TO_MICRON.get(str((tiff.imagej_metadata or {}).get("unit", "pixel")), 0.0)
        x, y = page.get_resolution(tifffile.RESUNIT.NONE)
    else:
        unit_um = 1.0
        x, y = page.get_resolution(tifffile.RESUNIT.MICROMETER)
    return scale_of(unit_um / x, unit_um / y, 0.0) if x > 0 and y > 0 else Scale()


def as_rgb(pixels: Any, page: Any) -> Pixels:
    """Grey as three equal channels; what is transparent as white."""
    if pixels.shape[-1] == 1:
        grey = WHITE - pixels if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE else pixels
        return np.repeat(grey, COLOURS, axis=-1)
    colours = np.ascontiguousarray(pixels[..., :COLOURS])
    extra = page.extrasamples[:1]
    if pixels.shape[-1] > COLOURS and extra == (tifffile.EXTRASAMPLE.UNASSALPHA,):
        return on_white(pixels)
    if pixels.shape[-1] > COLOURS and extra == (tifffile.EXTRASAMPLE.ASSOCALPHA,):
        return np.asarray(colours + np.minimum(WHITE - pixels[..., COLOURS:], WHITE - colours), np.uint8)
    return colours
