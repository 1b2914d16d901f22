"""What the headers of a slide's files say about which other files belong to it; nothing of pixels is read.

A file that lies about itself, or is cut, says nothing here: whether it is a slide is for the tiler to find out.
"""

from __future__ import annotations

import html
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

HEAD_BYTES = 1 << 20
DESCRIPTION_BYTES = 16 << 20
INDEX_BYTES = 1 << 20

_MAGIC_AT, _MAGIC = 128, b"DICM"
_SERIES, _SYNTAX = (0x0020, 0x000E), (0x0002, 0x0010)
_ITEM, _ITEM_END, _SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
_OPEN_END = 0xFFFFFFFF
_IMPLICIT = "1.2.840.10008.1.2"
_LONG_KINDS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_DEEPEST = 16

_OME_NAME = re.compile(r'\b(?:FileName|MetadataFile)\s*=\s*"([^"]+)"')
_DESCRIPTION = 270


def is_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM files do."""
    with path.open("rb") as file:
        file.seek(_MAGIC_AT)
        return file.read(len(_MAGIC)) == _MAGIC


def dicom_series(path: Path) -> str | None:
    """The SeriesInstanceUID of a DICOM file."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] != _MAGIC:
        return None
    try:
        return _Dicom(head).series()
    except (struct.error, UnicodeDecodeError, RecursionError):
        return None


class _Dicom:
    """A walk over data elements, little endian."""

    def __init__(self, head: bytes) -> None:
        self._head = head
        self._at = _MAGIC_AT + len(_MAGIC)
        self._is_implicit = False

    def series(self) -> str | None:
        syntax = ""
        while True:
            tag = self._tag()
            if tag[0] > 2 and syntax:
                self._is_implicit, syntax = syntax == _IMPLICIT, ""
            length = self._length()
            if tag == _SYNTAX:
                syntax = self._text(length)
            elif tag == _SERIES:
                return self._text(length) or None
            elif tag > _SERIES:
                return None
            else:
                self._skip(length)

    def _take(self, kind: str) -> tuple[int, ...]:
        values = struct.unpack_from(kind, self._head, self._at)
        self._at += struct.calcsize(kind)
        return values

    def _tag(self) -> tuple[int, int]:
        group, element = self._take("<HH")
        return group, element

    def _length(self) -> int:
        if self._is_implicit:
            return self._take("<I")[0]
        kind = self._head[self._at : self._at + 2]
        self._at += 2
        return self._take("<2xI" if kind in _LONG_KINDS else "<H")[0]

    def _text(self, length: int) -> str:
        text = self._head[self._at : self._at + length].rstrip(b"\0 ").decode("ascii")
        self._at += length
        return text

    def _skip(self, length: int, depth: int = 0) -> None:
        """Past a value; one of open length is a sequence of items."""
        if length != _OPEN_END:
            self._at += length
            return
        if depth > _DEEPEST:
            raise RecursionError
        while (tag := self._tag()) == _ITEM:
            size = self._take("<I")[0]
            if size != _OPEN_END:
                self._at += size
                continue
            while self._tag() != _ITEM_END:
                self._skip(self._length(), depth + 1)
            self._at += 4
        if tag != _SEQUENCE_END:
            raise struct.error("a sequence holds items only")
        self._at += 4


def vms_names(path: Path) -> list[str]:
    """What an index of Hamamatsu's (VMS, VMU) names: the values of its lines, those that are names among them."""
    with path.open("rb") as file:
        text = file.read(INDEX_BYTES).decode("latin-1")
    return [line.partition("=")[2].strip() for line in text.splitlines() if "=" in line]


def ome_names(path: Path) -> list[str]:
    """The files that the OME-XML in a TIFF names."""
    with path.open("rb") as file:
        try:
            description = _description(file)
        except struct.error:  # It ends in the middle, or is no TIFF.
            return []
    return [html.unescape(name) for name in _OME_NAME.findall(description.decode("utf-8", "replace"))]


def _description(file: BinaryIO) -> bytes:
    """The ImageDescription of a TIFF's first page, classic or Big, in either order of bytes."""
    order = {b"II": "<", b"MM": ">"}.get(file.read(2), "")
    if not order:
        return b""
    (version,) = _read(file, order + "H")
    big = version == 43
    if big:
        file.seek(4, os.SEEK_CUR)
    (first,) = _read(file, order + ("Q" if big else "I"))
    file.seek(first)
    (count,) = _read(file, order + ("Q" if big else "H"))
    entry = order + ("HHQ8s" if big else "HHI4s")
    for tag, _, size, value in _entries(file, entry, min(count, 4096)):
        if tag == _DESCRIPTION:
            return _value(file, order + ("Q" if big else "I"), size, value)
    return b""


def _entries(file: BinaryIO, entry: str, count: int) -> Iterator[tuple[int, int, int, bytes]]:
    for _ in range(count):
        tag, kind, size, value = struct.unpack(entry, file.read(struct.calcsize(entry)))
        yield tag, kind, size, value


def _value(file: BinaryIO, pointer: str, size: int, value: bytes) -> bytes:
    if size <= len(value):
        return value[:size]
    file.seek(struct.unpack(pointer, value)[0])
    return file.read(min(size, DESCRIPTION_BYTES))


def _read(file: BinaryIO, kind: str) -> tuple[int, ...]:
    return struct.unpack(kind, file.read(struct.calcsize(kind)))
