"""Cells that another program found, as a file of the slide: their masks at level 0, and what was said of each.

The file lies beside the slide's picture under the picture's name with `ENDING`, is taken in with it and is a part of
its digest. The segmenter `imported` takes its cells from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from morula.common.arrays import reading
from morula.common.errors import ArtifactInvalid

MODEL = "imported"
ENDING = ".imported.parquet"
NO_CLUSTER = -1
MAX_MASK_PX = 1 << 24
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
        table = pq.read_table(path, columns=columns)
        wanted = [SCHEMA.field(name) for name in columns or SCHEMA.names]
        for field in wanted:
            if field.name not in table.column_names or table[field.name].type != field.type:
                raise ArtifactInvalid(f"the imported cells have no column {field.name} of {field.type}")
        table.validate(full=True)
    return table


class Imported:
    """The cells of one file, opened once."""

    def __init__(self, path: Path) -> None:
        self._table = read(path, ["x_px", "y_px", "width_px", "height_px", "mask", "cluster", "confidence"])
        self._edges = [self._table[name].to_numpy() for name in ("x_px", "y_px", "width_px", "height_px")]

    def painted(self, x_px: int, y_px: int, width_px: int, height_px: int) -> Painted:
        """Those that reach into a rectangle, cut at its frame; of two masks over each other the later is on top."""
        x, y, width, height = self._edges
        rows = np.flatnonzero((x < x_px + width_px) & (x + width > x_px) & (y < y_px + height_px) & (y + height > y_px))
        labels = np.zeros((height_px, width_px), np.int32)
        for label, (row, bits) in enumerate(
            zip(rows.tolist(), self._table["mask"].take(rows).to_pylist(), strict=True), 1
        ):
            mask = unpack(bits, int(width[row]), int(height[row]))
            left, top = int(x[row]) - x_px, int(y[row]) - y_px
            mask = mask[max(0, -top) : height_px - top, max(0, -left) : width_px - left]
            top, left = max(0, top), max(0, left)
            labels[top : top + mask.shape[0], left : left + mask.shape[1]][mask] = label
        taken = self._table.select(["cluster", "confidence"]).take(rows)
        if pc.any(pc.is_null(taken["cluster"])).as_py() or pc.any(pc.is_null(taken["confidence"])).as_py():
            raise ArtifactInvalid("an imported cell does not say its cluster and confidence")
        return Painted(labels, rows.astype(np.int32), taken["cluster"].to_numpy(), taken["confidence"].to_numpy())
