"""How the pixels of a region are stored: the slide's own JPEG tiles where they are its pixels, else packed anew."""

import contextlib
from collections.abc import Sequence

import numpy as np

from morula.common.errors import SlideUnreadable
from morula.common.pixels import Piece, decode_piece, encode_pieces
from morula.tiler.core import Decoded, Place, SourceWindow
from morula.tiler.slide import Area, Slide, StoredTile


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
    area = Area(*window.source())
    tiles = slide.jpeg_tiles(window.scale.level, area)
    if tiles is None:
        return None
    touched = [tile for tile in tiles if _touches(tile.area, area, places)]
    return _handed_on(touched, area, decoded) if _stands_alone(slide, window.scale.level, touched) else None


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
        x, y = tile.area.x_px - area.x_px, tile.area.y_px - area.y_px
        if tile.jpeg is not None:
            pieces.append(Piece(x, y, tile.area.width_px, tile.area.height_px, "jpeg", tile.jpeg))
            continue
        # A tile at the slide's edge holds filling beyond it, which must not be seen.
        left, top = max(x, 0), max(y, 0)
        part = decoded.pixels[top : y + tile.area.height_px, left : x + tile.area.width_px]
        pieces += [piece._replace(x=piece.x + left, y=piece.y + top) for piece in encode_pieces(part)]
    return pieces
