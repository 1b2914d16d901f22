"""Headers of slides' files, written by hand: just what says which files belong together."""

from __future__ import annotations

import struct

SERIES = "1.2.840.1.%d"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
OPEN_END = 0xFFFFFFFF


def dicom(series: int, syntax: str = EXPLICIT) -> bytes:
    """A DICOM header whose referenced series, of open length, comes before its own."""
    other = _element(0x0020, 0x000E, b"UI", (SERIES % 99).encode(), syntax)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, OPEN_END) + other + struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
    referenced = _element(0x0008, 0x1115, b"SQ", item + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0), syntax, OPEN_END)
    meta = _element(0x0002, 0x0010, b"UI", syntax.encode(), EXPLICIT)
    return (
        bytes(128) + b"DICM" + meta + referenced + _element(0x0020, 0x000E, b"UI", (SERIES % series).encode(), syntax)
    )


def _element(group: int, number: int, kind: bytes, value: bytes, syntax: str, length: int | None = None) -> bytes:
    value += b"\0" * (len(value) % 2)
    size = len(value) if length is None else length
    if syntax == IMPLICIT:
        return struct.pack("<HHI", group, number, size) + value
    form = "<2sHI" if kind == b"SQ" else "<2sH"
    entry = (kind, 0, size) if kind == b"SQ" else (kind, size)
    return struct.pack("<HH", group, number) + struct.pack(form, *entry) + value


def ome_tiff(names: list[str], *, big: bool = False, order: str = "<") -> bytes:
    """A TIFF without pixels, whose OME-XML names files."""
    text = "<OME>" + "".join(f'<UUID FileName="{name}">urn:uuid:1</UUID>' for name in names) + "</OME>"
    mark = b"II" if order == "<" else b"MM"
    if big:
        head = mark + struct.pack(order + "HHHQ", 43, 8, 0, 16)
        page = struct.pack(order + "QHHQQ", 1, 270, 2, len(text), 16 + 8 + 20 + 8) + bytes(8)
    else:
        head = mark + struct.pack(order + "HI", 42, 8)
        page = struct.pack(order + "HHHII", 1, 270, 2, len(text), 8 + 2 + 12 + 4) + bytes(4)
    return head + page + text.encode()
