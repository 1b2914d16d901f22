"""How much the pages of a Parquet file unpack to, by the headers that a reader allocates memory by.

The footer says it, too, but nobody holds it to that, and no library shows the headers. They are Thrift in its compact
form, of which as much is read here as they are made of.
"""

from __future__ import annotations

from typing import Any, BinaryIO

import pyarrow.parquet as pq

from morula.common.errors import ArtifactInvalid

HEADER_BYTES = 1 << 16
MAX_DEPTH = 4
UNPACKED_SIZE, PACKED_SIZE = 2, 3
ENCODING_OF = {5: 2, 7: 2, 8: 4}
"""Of a header's parts for data, dictionaries and data of the second version, the field that names the encoding."""
PLAIN_ENCODINGS = frozenset((0, 2, 3, 8))
"""Values as they are, or numbers in a dictionary. With others a value may repeat the one before, and pages grow."""


def unpacked_bytes(file: BinaryIO, chunk: pq.ColumnChunkMetaData) -> int:
    """Bytes of all pages of a column in a row group; ArtifactInvalid where its pages are not as they should be."""
    at, total = chunk.data_page_offset, 0
    if chunk.has_dictionary_page and 0 < (chunk.dictionary_page_offset or 0) < at:
        at = chunk.dictionary_page_offset
    end = at + chunk.total_compressed_size
    while at < end:
        file.seek(at)
        header = _Compact(file.read(HEADER_BYTES))
        page = header.struct()
        packed, unpacked = page.get(PACKED_SIZE, -1), page.get(UNPACKED_SIZE, -1)
        if packed < 0 or unpacked < 0:
            raise ArtifactInvalid(f"a page of the column {chunk.path_in_schema} has no size")
        for part, field in ENCODING_OF.items():
            if part in page and page[part].get(field) not in PLAIN_ENCODINGS:
                raise ArtifactInvalid(f"the column {chunk.path_in_schema} is encoded in a way that is not read here")
        total += unpacked
        at += header.at + packed
    return total


class _Compact:
    """Values of Thrift's compact form, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Fields by their number."""
        if depth > MAX_DEPTH:
            raise ArtifactInvalid("a page's header holds parts of parts without an end")
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._signed()
            fields[number] = self._value(head & 15, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (1, 2):
            return kind == 1
        if kind == 3:
            return self._byte()
        if kind in (4, 5, 6):
            return self._signed()
        if kind == 8:
            return self._skip(self._unsigned())
        if kind == 12:
            return self.struct(depth + 1)
        raise ArtifactInvalid(f"a page's header has a value of kind {kind}")

    def _signed(self) -> int:
        word = self._unsigned()
        return (word >> 1) ^ -(word & 1)

    def _unsigned(self) -> int:
        word = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            word |= (byte & 127) << shift
            if byte < 128:
                return word
        raise ArtifactInvalid("a page's header has a number without an end")

    def _byte(self) -> int:
        self._skip(1)
        return self._data[self.at - 1]

    def _skip(self, count: int) -> None:
        self.at += count
        if self.at > len(self._data):
            raise ArtifactInvalid("a page's header ends too early")
