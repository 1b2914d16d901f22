"""PNG and JPEG pictures as slides; what their headers claim is bounded before they are decoded."""

import struct
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import ExifTags, Image

from morula.common.errors import SlideUnreadable
from morula.common.jpeg import is_whole, jpeg_size, scan_count
from morula.tiler.slide import Level, Pixels, Scale, Slide, blank, on_white, paste

PICTURE_LIMIT_PX = 1 << 28
SCANNED_LIMIT_PX = 1 << 31
SCAN_LIMIT = 64  # A JPEG that sharpens as it loads has about ten; each decodes the whole picture once more.
PICTURES = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg"}
Image.MAX_IMAGE_PIXELS = PICTURE_LIMIT_PX


def open_picture(path: Path) -> "PictureSlide | None":
    """The path as a PNG or JPEG, None where it is neither."""
    with path.open("rb") as file:
        start = file.read(8)
    kind = next((kind for magic, kind in PICTURES.items() if start.startswith(magic)), None)
    return PictureSlide(path, kind) if kind else None


class PictureSlide(Slide):
    """A PNG or JPEG picture, held in memory: one level, no scale of its own."""

    def __init__(self, path: Path, kind: str) -> None:
        content = path.read_bytes()
        (_check_png if kind == "png" else _check_jpeg)(content)
        decode = imagecodecs.png_decode if kind == "png" else imagecodecs.jpeg8_decode
        pixels = np.asarray(decode(content))
        if pixels.dtype != np.uint8:
            raise SlideUnreadable(f"its pixels are {pixels.dtype}, only 8-bit pixels can be read")
        self._levels = [_upright(_picture_rgb(pixels), path)]
        pixels = self._levels[0]
        super().__init__(kind, Scale(), (Level(pixels.shape[1], pixels.shape[0], 1.0),))

    def read(self, level: int, x_px: int, y_px: int, width_px: int, height_px: int) -> Pixels:
        out = blank(width_px, height_px)
        paste(out, self._levels[level], -x_px, -y_px)
        return out

    def close(self) -> None:
        """Nothing is open."""


def png_size(content: bytes) -> tuple[int, int, int]:
    """Width, height and bits of a sample, as the header claims."""
    if len(content) < 26 or content[12:16] != b"IHDR":
        raise SlideUnreadable("the picture has no header")
    width, height, bits = struct.unpack(">IIB", content[16:25])
    return width, height, bits


def _check_png(content: bytes) -> None:
    width, height, bits = png_size(content)
    if bits > 8:
        raise SlideUnreadable(f"its pixels have {bits} bits, only 8-bit pixels can be read")
    _check_size(width, height)


def _check_jpeg(content: bytes) -> None:
    if not is_whole(content):
        # The decoder would fill the missing part with grey and report no error.
        raise SlideUnreadable("the picture ends in the middle")
    width, height = jpeg_size(content) or (0, 0)
    _check_size(width, height)
    scans = scan_count(content)
    if scans > SCAN_LIMIT or scans * width * height > SCANNED_LIMIT_PX:
        raise SlideUnreadable(
            f"its JPEG is stored in {scans} passes, which take too long to decode: save it again without 'progressive'"
        )


def _check_size(width: int, height: int) -> None:
    if not width or not height or width * height > PICTURE_LIMIT_PX:
        raise SlideUnreadable(
            f"it says that it is {width} x {height} px; a picture may have 1 to {PICTURE_LIMIT_PX} pixels"
        )


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
