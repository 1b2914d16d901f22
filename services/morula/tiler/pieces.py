"""How the pixels of a region are stored: the slide's own JPEG tiles where they are its pixels, else packed anew."""

import contextlib
from collections.abc import Sequence
from itertools import compress

import numpy as np

from morula.common.errors import SlideUnreadable
from morula.common.pixels import Piece, decode_piece, encode_pieces
from morula.tiler.core import Decoded, Place, SourceWindow
from morula.tiler.planes import count_marks
from morula.tiler.slide import Area, Slide, StoredTile

SCAN, END = b"\xff\xda", b"\xff\xd9"  # What comes before a JPEG's pixels, and after them.


def hand_on(
    slide: Slide, window: SourceWindow, places: Sequence[Place], decoded_places: Sequence[Place]
) -> list[Piece] | None:
    """The slide's own JPEG tiles, without decoding more of them than was decoded already; None where that cannot be.

    A tile at the slide's edge, a file that is being cut short, or a tile that may be broken is for `pack`.
    """
    area = Area(*window.source())
    with contextlib.suppress(SlideUnreadable):
        tiles = _touched(slide, window, places) or []
        if not tiles or not all(tile.jpeg for tile in tiles) or not _stands_alone(slide, window.scale.level, tiles):
            return None
        header = _header(tiles[0].jpeg or b"")
        for tile, was_decoded in zip(tiles, _touch(tiles, area, decoded_places), strict=True):
            if not was_decoded and not decodes_after(header, tile.jpeg or b""):
                slide.read(window.scale.level, *tile.area)
        return [_piece(tile, tile.jpeg, area) for tile in tiles if tile.jpeg]
    return None


def decodes_after(header: bytes, jpeg: bytes) -> bool:
    """Whether a JPEG tile surely decodes because another one with this header does.

    What makes a decoder give up is a header or a mark; wrong pixels are no error to it. So the header must be that of
    the other tile, and after it no mark may come but the end: each byte 255 of the pixels is followed by a zero.
    """
    if not header or not jpeg.startswith(header) or not jpeg.endswith(END):
        return False
    return count_marks(np.frombuffer(jpeg, np.uint8, offset=len(header))) == 1


def _header(jpeg: bytes) -> bytes:
    """A JPEG up to its pixels; empty where it has none."""
    return jpeg[: jpeg.find(SCAN) + 2] if SCAN in jpeg else b""


def _piece(tile: StoredTile, jpeg: bytes, area: Area) -> Piece:
    left, top = tile.area.x_px - area.x_px, tile.area.y_px - area.y_px
    return Piece(left, top, tile.area.width_px, tile.area.height_px, "jpeg", jpeg)


def pack(slide: Slide, window: SourceWindow, places: Sequence[Place], decoded: Decoded) -> list[Piece]:
    """Lossless pieces of a region. JPEG tiles are a tenth as large as packed pixels, and nobody has to pack them."""
    if window.scale.step == 1 and not decoded.unreadable:
        # A file that is cut short while it is read has its pixels here already, and its bytes no more.
        with contextlib.suppress(SlideUnreadable):
            untouched = _untouched(slide, window, places, decoded)
            if untouched is not None:
                return untouched
    return encode_pieces(decoded.pixels)


def _untouched(slide: Slide, window: SourceWindow, places: Sequence[Place], decoded: Decoded) -> list[Piece] | None:
    """The slide's own tiles, None where it has none that stand alone."""
    touched = _touched(slide, window, places)
    if touched is None or not _stands_alone(slide, window.scale.level, touched):
        return None
    return _handed_on(touched, Area(*window.source()), decoded)


def _touched(slide: Slide, window: SourceWindow, places: Sequence[Place]) -> list[StoredTile] | None:
    """The slide's own tiles that these places of a window lie on; None where they are no JPEG tiles."""
    area = Area(*window.source())
    tiles = slide.jpeg_tiles(window.scale.level, area)
    return None if tiles is None else [*compress(found := list(tiles), _touch(found, area, places))]


def _touch(tiles: Sequence[StoredTile], area: Area, places: Sequence[Place]) -> list[bool]:
    """Which of an area's tiles these places of it lie on."""
    left, top, width, height = np.array([tile.area for tile in tiles]).reshape(-1, 4, 1).transpose(1, 0, 2)
    x, y, wide, tall = np.array(places).reshape(-1, 4).T
    across = (left - area.x_px < x + wide) & (x < left - area.x_px + width)
    found: list[bool] = (across & (top - area.y_px < y + tall) & (y < top - area.y_px + height)).any(axis=1).tolist()
    return found


def _stands_alone(slide: Slide, level: int, tiles: list[StoredTile]) -> bool:
    """Whether a JPEG tile taken out of its file decodes to the pixels that it had there; one stands for all."""
    tile = next((tile for tile in tiles if tile.jpeg is not None), None)
    if tile is None or tile.jpeg is None:
        return False
    alone = decode_piece(Piece(0, 0, tile.area.width_px, tile.area.height_px, "jpeg", tile.jpeg))
    return np.array_equal(alone, slide.read(level, *tile.area))


def _handed_on(tiles: list[StoredTile], area: Area, decoded: Decoded) -> list[Piece]:
    pieces = []
    for tile in tiles:
        if tile.jpeg is not None:
            pieces.append(_piece(tile, tile.jpeg, area))
            continue
        x, y = tile.area.x_px - area.x_px, tile.area.y_px - area.y_px
        # A tile at the slide's edge holds filling beyond it, which must not be seen.
        left, top = max(x, 0), max(y, 0)
        part = decoded.pixels[top : y + tile.area.height_px, left : x + tile.area.width_px]
        pieces += [piece._replace(x=piece.x + left, y=piece.y + top) for piece in encode_pieces(part)]
    return pieces
