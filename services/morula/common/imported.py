"""Cells that another program found, as a file of the slide: their masks at level 0, and what was said of each.

The file lies beside the slide's picture under the picture's name with `ENDING`, is taken in with it and is a part of
its digest. The segmenter `imported` takes its cells from there.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from morula.common.arrays import reading
from morula.common.errors import ArtifactInvalid
from morula.common.parquet_pages import unpacked_bytes

MODEL = "imported"
ENDING = ".imported.parquet"
NO_CLUSTER = -1
MAX_MASK_PX = 1 << 24
MAX_CELLS = 1 << 24
MAX_GROUP_BYTES = 1 << 28
"""Of a row group, whatever it is packed into. Those that we write have some hundred times less."""
MAX_REGION_CELLS, MAX_REGION_MASK_PX = 1 << 18, 1 << 28
"""Cells that reach into a region, and px of their masks: dozens of cells over each pixel of the largest."""
ROW_GROUP_ROWS = 4096

SCHEMA = pa.schema(
    [
        pa.field("x_px", pa.int64(), nullable=False),
        pa.field("y_px", pa.int64(), nullable=False),
        pa.field("width_px", pa.int32(), nullable=False),
        pa.field("height_px", pa.int32(), nullable=False),
        pa.field("mask", pa.binary(), nullable=False),
        pa.field("cluster", pa.int32(), nullable=False),
        pa.field("confidence", pa.float32(), nullable=False),
        pa.field("class", pa.string()),
        pa.field("tile", pa.string()),
        pa.field("label", pa.int32()),
        pa.field("number", pa.int32()),
    ]
)
"""One row for each cell: the box of its mask at level 0, the mask's bits row by row, its cluster (-1 for none) with how
sure it was there (0 where nobody said), and by which class, tile, label in the tile and number it was known."""


@dataclass(frozen=True)
class Painted:
    """Cells of a rectangle as an image: label k is the cell `rows[k - 1]` of the file."""

    labels: NDArray[np.int32]
    rows: NDArray[np.int32]
    clusters: NDArray[np.int32]
    confidences: NDArray[np.float32]


def pack(mask: NDArray[np.bool_]) -> bytes:
    """A mask's bits, row by row."""
    return np.packbits(mask).tobytes()


def unpack(bits: bytes, width_px: int, height_px: int) -> NDArray[np.bool_]:
    """The mask of these bits; ArtifactInvalid where they are not as many as its box has."""
    count = width_px * height_px
    if width_px < 1 or height_px < 1 or count > MAX_MASK_PX or len(bits) != -(-count // 8):
        raise ArtifactInvalid(f"a mask of {width_px} x {height_px} px has {len(bits)} bytes")
    flags = np.unpackbits(np.frombuffer(bits, np.uint8), count=count)
    return flags.reshape(height_px, width_px).astype(bool)


def write(columns: Mapping[str, Any], path: Path) -> None:
    """Cells in an order in which those of one tile lie together."""
    content = pa.table([pa.array(columns[field.name], field.type) for field in SCHEMA], schema=SCHEMA)
    pq.write_table(content, path, compression="zstd", row_group_size=ROW_GROUP_ROWS)


def read(path: Path, columns: list[str] | None = None) -> pa.Table:
    """The cells of a file, or some of their columns, in its order."""
    with reading("the imported cells"):
        return _checked(pq.read_table(path, columns=columns), columns or SCHEMA.names)


def _checked(table: pa.Table, names: list[str]) -> pa.Table:
    for field in map(SCHEMA.field, names):
        if field.name not in table.column_names or _plain(table[field.name].type) != field.type:
            raise ArtifactInvalid(f"the imported cells have no column {field.name} of {field.type}")
        if not field.nullable and table[field.name].null_count:
            raise ArtifactInvalid(f"an imported cell does not say its {field.name}")
    table.validate(full=True)
    return table


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _check_size(path: Path, metadata: pq.FileMetaData) -> None:
    """Before anything is unpacked: some kilobytes may be packed terabytes."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    if metadata.num_rows > MAX_CELLS or sum(group.num_rows for group in groups) > MAX_CELLS:
        raise ArtifactInvalid(f"there are {metadata.num_rows:,} imported cells, more than {MAX_CELLS:,}")
    with path.open("rb") as file:
        for group in groups:
            chunks = [group.column(number) for number in range(group.num_columns)]
            if sum(unpacked_bytes(file, chunk) for chunk in chunks) > MAX_GROUP_BYTES:
                raise ArtifactInvalid(f"a row group of the imported cells has more than {MAX_GROUP_BYTES >> 20} MiB")


class Imported:
    """The cells of an open file: where they lie is known at once, masks are read where they are looked at."""

    def __init__(self, file: pq.ParquetFile, slide_width_px: int, slide_height_px: int) -> None:
        self._file = file
        self._one_at_a_time = threading.Lock()
        counts = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
        names = ["x_px", "y_px", "width_px", "height_px"]
        with reading("the imported cells"):
            table = _checked(file.read(names), names)
        self._edges = [table[name].to_numpy().astype(np.int64) for name in names]
        self._begins = np.cumsum([0, *counts])
        _check_boxes(self._edges, slide_width_px, slide_height_px)

    def painted(self, x_px: int, y_px: int, width_px: int, height_px: int) -> Painted:
        """Those that reach into a rectangle, cut at its frame; of two masks over each other the later is on top."""
        x, y, width, height = self._edges
        rows = np.flatnonzero((x < x_px + width_px) & (x + width > x_px) & (y < y_px + height_px) & (y + height > y_px))
        mask_px = int((width[rows] * height[rows]).sum())
        if len(rows) > MAX_REGION_CELLS or mask_px > MAX_REGION_MASK_PX:
            raise ArtifactInvalid(
                f"{len(rows):,} imported cells of {mask_px:,} px in all lie over {width_px:,} x {height_px:,} px: "
                "more than any tissue has"
            )
        labels = np.zeros((height_px, width_px), np.int32)
        clusters, confidences = np.zeros(len(rows), np.int32), np.zeros(len(rows), np.float32)
        done = 0
        for taken in self._groups_of(rows):
            part = slice(done, done + len(taken))
            clusters[part], confidences[part] = taken["cluster"].to_numpy(), taken["confidence"].to_numpy()
            for row, bits in zip(rows[part].tolist(), taken["mask"], strict=True):
                mask = unpack(bits.as_py(), int(width[row]), int(height[row]))
                left, top = int(x[row]) - x_px, int(y[row]) - y_px
                mask = mask[max(0, -top) : height_px - top, max(0, -left) : width_px - left]
                top, left = max(0, top), max(0, left)
                done += 1
                labels[top : top + mask.shape[0], left : left + mask.shape[1]][mask] = done
        if (clusters < NO_CLUSTER).any():
            raise ArtifactInvalid(f"an imported cell is in cluster {clusters.min()}: {NO_CLUSTER} is none")
        if not ((confidences >= 0) & (confidences <= 1)).all():
            raise ArtifactInvalid("the confidence of an imported cell is not between 0 and 1")
        return Painted(labels, rows.astype(np.int32), clusters, confidences)

    def _groups_of(self, rows: NDArray[np.int64]) -> Iterator[pa.Table]:
        """What else is known of these rows, group by group."""
        names = ["mask", "cluster", "confidence"]
        of = np.searchsorted(self._begins, rows, "right") - 1
        for group in np.unique(of).tolist():
            with self._one_at_a_time, reading("the imported cells"):
                table = _checked(self._file.read_row_group(group, names), names)
                wanted = table.take(rows[of == group] - self._begins[group])
            yield wanted


@contextmanager
def opened(path: Path, slide_width_px: int, slide_height_px: int) -> Iterator[Imported]:
    """The cells of a slide's file, as long as it is needed."""
    with reading("the imported cells"):
        # Masks that are alike stay one: of a dictionary each is unpacked only where it is looked at.
        file = pq.ParquetFile(path, read_dictionary=["mask"])
    with file:
        with reading("the imported cells"):
            _check_size(path, file.metadata)
        yield Imported(file, slide_width_px, slide_height_px)


def _check_boxes(edges: Sequence[NDArray[np.int64]], slide_width_px: int, slide_height_px: int) -> None:
    x, y, width, height = edges
    wrong = (x < 0) | (x >= slide_width_px) | (y < 0) | (y >= slide_height_px)
    wrong |= (width < 1) | (height < 1) | (width * height > MAX_MASK_PX)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ArtifactInvalid(
            f"imported cell {row} has a mask of {width[row]} x {height[row]} px at x {x[row]}, y {y[row]}: that is "
            f"nowhere on a slide of {slide_width_px} x {slide_height_px} px"
        )
