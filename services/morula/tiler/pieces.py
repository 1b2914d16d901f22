"""How the pixels of a region are stored: the slide's own JPEG tiles where they are its pixels, else packed anew."""

import contextlib
from collections.abc import Sequence

import numpy as np

from morula.common.errors import SlideUnreadable
from morula.common.pixels import Piece, decode_piece, encode_pieces
from morula.tiler.core import Decoded, Place, SourceWindow
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
        first = next(iter(tiles), None)
        if first is None or not all(tile.jpeg for tile in tiles) or not _stands_alone(slide, window.scale.level, tiles):
            return None
        for tile in tiles:
            if not _touches(tile.area, area, decoded_places) and not decodes_as(tile, first):
                slide.read(window.scale.level, *tile.area)
        return [_piece(tile, tile.jpeg, area) for tile in tiles if tile.jpeg]
    return None


def decodes_as(tile: StoredTile, model: StoredTile) -> bool:
    """Whether a JPEG tile surely decodes because another does.

    What makes a decoder give up is a header or a mark; wrong pixels are no error to it. So the header must be that of
    the other tile, and after it no mark may come but the end: each byte 255 of the pixels is followed by a zero.
    """
    jpeg, header = tile.jpeg or b"", _header(model.jpeg or b"")
    marks = jpeg.count(b"\xff", len(header)) - jpeg.count(b"\xff\x00", len(header))
    return bool(header) and jpeg.startswith(header) and jpeg.endswith(END) and marks == 1


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
    return None if tiles is None else [tile for tile in tiles if _touches(tile.area, area, places)]


def _touches(tile: Area, area: Area, places: Sequence[Place]) -> bool:
    left, top = tile.x_px - area.x_px, tile.y_px - area.y_px
    return any(
        left < x + width and x < left + tile.width_px and top < y + height and y < top + tile.height_px
        for x, y, width, height in places
    )


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
