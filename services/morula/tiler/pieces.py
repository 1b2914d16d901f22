"""How the pixels of a region are stored: the slide's own JPEG tiles where they are its pixels, else packed anew."""

import contextlib
from collections.abc import Sequence
from itertools import compress

import numpy as np

from morula.common.errors import SlideUnreadable
from morula.common.jpeg import header_of
from morula.common.pieces import Piece, encode_pieces
from morula.tiler.core import Decoded, SourceWindow, WindowBox
from morula.tiler.planes import count_marks
from morula.tiler.slide import Area, Slide, StoredTile

END = b"\xff\xd9"


def hand_on(
    slide: Slide, window: SourceWindow, places: Sequence[WindowBox], decoded_places: Sequence[WindowBox]
) -> list[Piece] | None:
    """The slide's own JPEG tiles, without decoding more of them than was decoded already; None where that cannot be.

    A tile at the slide's edge, a file that is being cut short, or a tile that may be broken is for `pack`.
    """
    level, area = window.scale.level, Area(*window.source())
    with contextlib.suppress(SlideUnreadable):
        tiles = _touched(slide, window, places) or []
        jpegs = [tile.jpeg for tile in tiles if tile.jpeg and slide.stands_alone(level, tile)]
        if not tiles or len(jpegs) < len(tiles):
            return None
        for tile, jpeg, was_decoded in zip(tiles, jpegs, _touch(tiles, area, decoded_places), strict=True):
            if not was_decoded and not surely_decodes(jpeg):
                slide.read(level, *tile.area)
        return [_piece(tile, jpeg, area) for tile, jpeg in zip(tiles, jpegs, strict=True)]
    return None


def surely_decodes(jpeg: bytes) -> bool:
    """Whether a JPEG tile surely decodes because another one with its header does.

    What makes a decoder give up is a header or a mark; wrong pixels are no error to it. So after the header, the scan's
    own in it, no mark may come but the end: each byte 255 of the pixels is followed by a zero.
    """
    header = header_of(jpeg)
    return bool(header) and jpeg.endswith(END) and count_marks(np.frombuffer(jpeg, np.uint8, offset=len(header))) == 1


def _piece(tile: StoredTile, jpeg: bytes, area: Area) -> Piece:
    left, top = tile.area.x_px - area.x_px, tile.area.y_px - area.y_px
    return Piece(left, top, tile.area.width_px, tile.area.height_px, "jpeg", jpeg)


def pack(slide: Slide, window: SourceWindow, places: Sequence[WindowBox], decoded: Decoded) -> list[Piece]:
    """Lossless pieces of a region. JPEG tiles are a tenth as large as packed pixels, and nobody has to pack them."""
    if window.scale.step == 1 and not decoded.unreadable:
        # A file may be cut short after its pixels were read: its encoded bytes are then gone.
        with contextlib.suppress(SlideUnreadable):
            untouched = _untouched(slide, window, places, decoded)
            if untouched is not None:
                return untouched
    return encode_pieces(decoded.pixels)


def _untouched(slide: Slide, window: SourceWindow, places: Sequence[WindowBox], decoded: Decoded) -> list[Piece] | None:
    """The slide's own tiles, None where it has none that stand alone."""
    touched, level = _touched(slide, window, places), window.scale.level
    # At least one tile must be whole: a region of edges only is smaller when packed as a whole.
    alone = [slide.stands_alone(level, tile) for tile in touched or () if tile.jpeg]
    return _handed_on(touched or [], Area(*window.source()), decoded) if alone and all(alone) else None


def _touched(slide: Slide, window: SourceWindow, places: Sequence[WindowBox]) -> list[StoredTile] | None:
    """The slide's own tiles that these places of a window lie on; None where they are no JPEG tiles."""
    area = Area(*window.source())
    tiles = slide.jpeg_tiles(window.scale.level, area)
    return None if tiles is None else [*compress(stored := list(tiles), _touch(stored, area, places))]


def _touch(tiles: Sequence[StoredTile], area: Area, places: Sequence[WindowBox]) -> list[bool]:
    """Which of an area's tiles these places of it lie on."""
    left, top, width, height = np.array([tile.area for tile in tiles]).reshape(-1, 4, 1).transpose(1, 0, 2)
    x, y, wide, tall = np.array(places).reshape(-1, 4).T
    across = (left - area.x_px < x + wide) & (x < left - area.x_px + width)
    touched: list[bool] = (across & (top - area.y_px < y + tall) & (y < top - area.y_px + height)).any(axis=1).tolist()
    return touched


def _handed_on(tiles: list[StoredTile], area: Area, decoded: Decoded) -> list[Piece]:
    pieces = []
    for tile in tiles:
        if tile.jpeg is not None:
            pieces.append(_piece(tile, tile.jpeg, area))
            continue
        x, y = tile.area.x_px - area.x_px, tile.area.y_px - area.y_px
        # A tile at the slide's edge contains padding beyond the edge, which must not be seen.
        left, top = max(x, 0), max(y, 0)
        part = decoded.pixels[top : y + tile.area.height_px, left : x + tile.area.width_px]
        pieces += [piece._replace(x=piece.x + left, y=piece.y + top) for piece in encode_pieces(part)]
    return pieces
