"""Labels as PNG of 16 bits, the one picture that exports write: no library of pictures is needed for it."""

import struct
import zlib

import numpy as np
import numpy.typing as npt

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY = 0


def encode_labels(labels: npt.NDArray[np.uint16]) -> bytes:
    """A grey picture whose values are the labels."""
    height, width = labels.shape
    # Each line begins with its filter: none.
    lines = np.zeros((height, 1 + 2 * width), np.uint8)
    lines[:, 1:] = labels.astype(">u2").view(np.uint8)
    header = struct.pack(">IIBBBBB", width, height, 16, GREY, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 6)), (b"IEND", b""))
    return SIGNATURE + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
