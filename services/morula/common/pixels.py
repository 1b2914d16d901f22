"""The pixels of a shard: regions of the slide, cut into lossless pieces, in one Arrow file.

A region's pixels are RGB at the working scale, halo included; where no piece lies, beyond the slide, it is white.
Pieces are the slide's own JPEG tiles untouched, lossless JPEG XL, or raw bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from morula.common.arrays import Source, reading, write_json
from morula.common.errors import ArtifactInvalid, InvalidArgument
from morula.common.pieces import Piece, Pixels, decode_piece
from morula.common.tables import METADATA, Metadata, check_columns, read_metadata

WHITE = 255
MAX_REGION_PX = 8192

PIXELS_SCHEMA = pa.schema(
    [
        pa.field("region", pa.int32()),
        pa.field("region_x_px", pa.float64()),
        pa.field("region_y_px", pa.float64()),
        pa.field("region_width", pa.int32()),
        pa.field("region_height", pa.int32()),
        pa.field("piece_x", pa.int32()),
        pa.field("piece_y", pa.int32()),
        pa.field("piece_width", pa.int32()),
        pa.field("piece_height", pa.int32()),
        pa.field("codec", pa.string()),
        pa.field("data", pa.binary()),
    ]
)
_REQUIRED = ("mpp", "slide_mpp", "downsample", "halo_px", "calibration", "tile_px", "slide_digest")


@dataclass(frozen=True)
class RegionPieces:
    """A region before its pieces are decoded."""

    index: int
    x_px: float
    y_px: float
    width: int
    height: int
    pieces: Sequence[Piece]


@dataclass(frozen=True)
class Region:
    """A region's pixels; working (u, v) lies at level-0 (x_px + u * downsample, y_px + v * downsample)."""

    index: int
    x_px: float
    y_px: float
    downsample: float
    pixels: Pixels
    halo_px: int
    mpp: float
    slide_mpp: float


def write_regions(regions: Iterable[RegionPieces], metadata: Metadata, sink: Path | None = None) -> bytes:
    """Writes regions as they come, to a file or (without `sink`) into the bytes that are returned."""
    missing = [name for name in _REQUIRED if name not in metadata]
    if missing:
        raise InvalidArgument(f"the pixels' metadata lacks {', '.join(missing)}")
    schema = PIXELS_SCHEMA.with_metadata({METADATA: write_json(metadata)})
    stream = pa.OSFile(str(sink), "wb") if sink else pa.BufferOutputStream()
    with stream, pa.ipc.new_file(stream, schema) as writer:  # A deleted file that is open keeps its space on the disk.
        for region in regions:
            writer.write_batch(_batch(region, schema))
    return b"" if sink else bytes(stream.getvalue())


def _batch(region: RegionPieces, schema: pa.Schema) -> pa.RecordBatch:
    count = len(region.pieces)
    if not count:
        raise InvalidArgument(f"region {region.index} has no pieces")
    place = (region.index, region.x_px, region.y_px, region.width, region.height)
    *columns, data = zip(*region.pieces, strict=True)
    values = [*([value] * count for value in place), *columns]
    arrays = [pa.array(column, field.type) for column, field in zip(values, schema, strict=False)]
    return pa.record_batch([*arrays, _joined(data)], schema=schema)


def _joined(data: Sequence[bytes]) -> pa.Array:
    """As `pa.array` does it, without its copies of megabytes."""
    offsets = np.cumsum([0, *map(len, data)], dtype=np.int32)
    return pa.Array.from_buffers(pa.binary(), len(data), [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(data))])


def read_pixels_metadata(source: Source) -> Metadata:
    """The tiler's metadata of the whole shard."""
    with _Reader(source) as reader:
        return reader.metadata


def read_regions(source: Source) -> Iterator[Region]:
    """Regions one after the other; only one is in memory at a time."""
    with _Reader(source) as reader:
        for pieces in reader.regions():
            yield _assemble(pieces, reader.metadata)


class _Reader:
    def __init__(self, source: Source) -> None:
        with reading("the pixels"):
            self._stream = pa.memory_map(str(source)) if isinstance(source, Path) else pa.BufferReader(source)
            self._file = pa.ipc.open_file(self._stream)
            check_columns(self._file.schema, PIXELS_SCHEMA)
            self.metadata = read_metadata(self._file.schema)
        missing = [name for name in _REQUIRED if name not in self.metadata]
        if missing:
            raise ArtifactInvalid(f"the pixels' metadata lacks {', '.join(missing)}")

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def regions(self) -> Iterator[RegionPieces]:
        seen: set[int] = set()
        for number in range(self._file.num_record_batches):
            with reading("the pixels"):
                batch = self._file.get_batch(number)
                batch.validate(full=True)
                rows = batch.to_pylist()
            for region in _grouped(rows):
                if region.index in seen:
                    raise ArtifactInvalid(f"region {region.index} comes twice")
                seen.add(region.index)
                yield region


def _grouped(rows: list[dict[str, Any]]) -> Iterator[RegionPieces]:
    regions: dict[int, RegionPieces] = {}
    pieces: dict[int, list[Piece]] = {}
    for row in rows:
        if any(value is None for value in row.values()):
            raise ArtifactInvalid("a piece lacks a value")
        number = row["region"]
        place = (row["region_x_px"], row["region_y_px"], row["region_width"], row["region_height"])
        region = regions.setdefault(number, RegionPieces(number, *place, pieces.setdefault(number, [])))
        if place != (region.x_px, region.y_px, region.width, region.height):
            raise ArtifactInvalid(f"region {number} lies in two places")
        size = (row["piece_x"], row["piece_y"], row["piece_width"], row["piece_height"])
        pieces[number].append(Piece(*size, row["codec"], row["data"]))
    yield from regions.values()


def _assemble(region: RegionPieces, metadata: Metadata) -> Region:
    if not (0 < region.width <= MAX_REGION_PX and 0 < region.height <= MAX_REGION_PX):
        raise ArtifactInvalid(f"region {region.index} is {region.width} x {region.height} px")
    canvas = np.full((region.height, region.width, 3), WHITE, np.uint8)
    for piece in region.pieces:
        _paste(canvas, piece)
    return Region(
        index=region.index,
        x_px=region.x_px,
        y_px=region.y_px,
        downsample=float(metadata["downsample"]),
        pixels=canvas,
        halo_px=int(metadata["halo_px"]),
        mpp=float(metadata["mpp"]),
        slide_mpp=float(metadata["slide_mpp"]),
    )


def _paste(canvas: Pixels, piece: Piece) -> None:
    if not (0 < piece.width <= MAX_REGION_PX and 0 < piece.height <= MAX_REGION_PX):
        raise ArtifactInvalid(f"a piece is {piece.width} x {piece.height} px")
    height, width = canvas.shape[:2]
    left, top = max(piece.x, 0), max(piece.y, 0)
    right, bottom = min(piece.x + piece.width, width), min(piece.y + piece.height, height)
    if left >= right or top >= bottom:
        raise ArtifactInvalid(f"a piece at {piece.x}, {piece.y} lies outside its region")
    inside = decode_piece(piece)[top - piece.y : bottom - piece.y, left - piece.x : right - piece.x]
    canvas[top:bottom, left:right] = inside
