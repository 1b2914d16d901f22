"""Outlines of cells for viewers: Arrow IPC, so that a viewer's row range is read without the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

from morula.common.arrays import Source, reading
from morula.common.errors import InvalidArgument
from morula.common.tables import OUTLINES_SCHEMA, check_columns

QUARTERS_PER_PX = 4
_BATCH_ROWS = 1 << 16
HOLES = pa.field("holes", pa.list_(pa.list_(pa.int16())))
"""Outlines of what is not a cell's inside it; without this column were those that were drawn before it was kept."""


def encode_outline(ring: NDArray[Any], x_px: float, y_px: float) -> NDArray[np.int16]:
    """Flattened (dx, dy) of a ring's vertices in quarter px, relative to the centroid rounded to whole px."""
    centre = np.array([round_px(x_px), round_px(y_px)])
    steps: NDArray[np.float64] = np.rint((np.asarray(ring, np.float64) - centre) * QUARTERS_PER_PX)
    if steps.size and np.abs(steps).max() > np.iinfo(np.int16).max:
        raise InvalidArgument("an outline reaches more than 8191 px from its centroid")
    return steps.astype(np.int16).ravel()


def decode_outline(outline: ArrayLike, x_px: float, y_px: float) -> NDArray[np.float64]:
    """The ring's vertices at level 0, n x 2."""
    steps: NDArray[np.float64] = np.asarray(outline, np.float64).reshape(-1, 2) / QUARTERS_PER_PX
    ring: NDArray[np.float64] = steps + np.array([round_px(x_px), round_px(y_px)])
    return ring


def decode_outlines(
    outlines: pa.ListArray, x_px: ArrayLike, y_px: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Vertices of many rings at level 0, n x 2, and of each the number of its ring."""
    lengths = pc.list_value_length(outlines).to_numpy() // 2
    ring = np.repeat(np.arange(len(lengths)), lengths)
    centres = np.floor(np.column_stack([x_px, y_px]) + 0.5)
    steps: NDArray[np.float64] = outlines.flatten().to_numpy().reshape(-1, 2) / QUARTERS_PER_PX
    return steps + centres[ring], ring


def round_px(value: float) -> float:
    """The whole pixel that outlines are relative to: halves go up, also below zero."""
    return float(np.floor(value + 0.5))


def write_outlines(
    x_px: ArrayLike,
    y_px: ArrayLike,
    outlines: Sequence[NDArray[np.int16]],
    holes: Mapping[int, Sequence[NDArray[np.int16]]],
) -> bytes:
    """One outline per row of the index, and the holes of those rows that have some; see `encode_outline`."""
    lengths = [len(outline) for outline in outlines]
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    if offsets[-1] > np.iinfo(np.int32).max:
        raise InvalidArgument("the outlines have too many vertices for one table")
    flat = np.concatenate(outlines) if outlines else np.empty(0, np.int16)
    column = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(flat, pa.int16()))
    inner = pa.array([holes.get(row) for row in range(len(outlines))], HOLES.type)
    schema = OUTLINES_SCHEMA.append(HOLES)
    content = pa.table([pa.array(x_px, pa.float64()), pa.array(y_px, pa.float64()), column, inner], schema=schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_table(content, max_chunksize=_BATCH_ROWS)
    return bytes(sink.getvalue())


def read_outlines(source: Source, start: int = 0, stop: int | None = None) -> pa.Table:
    """Rows `start` to `stop` (half-open); a path is mapped, and only batches in the range are touched."""
    if start < 0 or (stop is not None and stop < start):
        raise InvalidArgument(f"rows {start} to {stop} are no range")
    with reading("the outlines"), _open(source) as stream:
        reader = pa.ipc.open_file(stream)
        check_columns(reader.schema, OUTLINES_SCHEMA)
        batches = _batches(reader, start, stop)
    return pa.Table.from_batches(batches, reader.schema)


def _batches(reader: pa.ipc.RecordBatchFileReader, start: int, stop: int | None) -> list[pa.RecordBatch]:
    batches, first = [], 0
    for number in range(reader.num_record_batches):
        if stop is not None and first >= stop:
            break
        batch = reader.get_batch(number)
        batch.validate(full=True)
        low, high = max(start - first, 0), batch.num_rows if stop is None else min(stop - first, batch.num_rows)
        if low < high:
            batches.append(batch.slice(low, high - low))
        first += batch.num_rows
    return batches


def _open(source: Source) -> pa.NativeFile:
    return pa.memory_map(str(source)) if isinstance(source, Path) else pa.BufferReader(source)
