"""One piece of a region's pixels, encoded: the slide's own JPEG tile untouched, lossless JPEG XL, or raw bytes.

Apart from the files of pieces (`pixels.py`), so that whoever only opens a slide, as the tiler's probe does for each
upload, loads nothing of Arrow.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from morula.common.errors import ArtifactInvalid
from morula.common.jpeg import jpeg_size

Pixels = NDArray[np.uint8]
Codec = Literal["jpeg", "jxl", "raw"]

PIECE_PX = 1024


class Piece(NamedTuple):
    """A rectangle of a region, encoded. A JPEG tile that reaches beyond the region lies partly at negative places."""

    x: int
    y: int
    width: int
    height: int
    codec: Codec
    data: bytes


def encode_pieces(pixels: Pixels, codec: Literal["jxl", "raw"] = "jxl") -> list[Piece]:
    """A region's pixels as lossless pieces of at most 1024 px."""
    height, width = pixels.shape[:2]
    pieces = []
    for y in range(0, height, PIECE_PX):
        for x in range(0, width, PIECE_PX):
            part = np.ascontiguousarray(pixels[y : y + PIECE_PX, x : x + PIECE_PX])
            data = part.tobytes() if codec == "raw" else bytes(imagecodecs.jpegxl_encode(part, lossless=True, effort=1))
            pieces.append(Piece(x, y, part.shape[1], part.shape[0], codec, data))
    return pieces


def decode_piece(piece: Piece) -> Pixels:
    """The piece's pixels, height x width x 3; ArtifactInvalid where they are not what the piece says."""
    try:
        pixels = _decode(piece)
    except (ValueError, RuntimeError) as error:  # imagecodecs' own errors are RuntimeErrors
        raise ArtifactInvalid(f"a piece cannot be decoded as {piece.codec}: {str(error)[:200]}") from error
    if pixels.dtype != np.uint8 or pixels.shape != (piece.height, piece.width, 3):
        raise ArtifactInvalid(f"a piece holds {pixels.shape}, not {(piece.height, piece.width, 3)}")
    return pixels


def _decode(piece: Piece) -> Pixels:
    if piece.codec == "raw":
        return np.frombuffer(piece.data, np.uint8).reshape(piece.height, piece.width, 3)
    if piece.codec == "jxl":
        return np.asarray(imagecodecs.jpegxl_decode(piece.data))
    if piece.codec == "jpeg":
        # Looked at before decoding: a slide's own tile may claim to be small and unfold to gigabytes.
        if jpeg_size(piece.data) != (piece.width, piece.height):
            raise ArtifactInvalid(f"a JPEG is {jpeg_size(piece.data)} px, not {(piece.width, piece.height)}")
        return np.asarray(imagecodecs.jpeg8_decode(piece.data))
    raise ArtifactInvalid(f"there is no codec {piece.codec!r}")
