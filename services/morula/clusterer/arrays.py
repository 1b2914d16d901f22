"""Names of the arrays that all of this package passes around, and how they are walked in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Halves = NDArray[np.float16]
Rows = NDArray[np.int64]
Leaves = NDArray[np.uint16]
Bytes = NDArray[np.uint8]

CHUNK_ROWS = 1 << 16
CHUNK_NUMBERS = 1 << 24
_SINGLE_OF_HALF = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)


def chunks(row_count: int, column_count: int = 1) -> Iterator[slice]:
    """Slices that cover all rows, each small enough to be made wide in memory."""
    size = max(1, min(CHUNK_ROWS, CHUNK_NUMBERS // max(1, column_count)))
    for start in range(0, row_count, size):
        yield slice(start, min(start + size, row_count))


def widened(rows: Halves, out: Floats) -> Floats:
    """The same numbers in single precision, written to `out`: from a table, in half the time of numpy's conversion."""
    return np.take(_SINGLE_OF_HALF, rows.view(np.uint16), out=out, mode="clip")


def squared_distances(rows: Floats, centres: Floats) -> Floats:
    """Squared distance of each row to each centre."""
    squares = (rows * rows).sum(axis=1)[:, None] + (centres * centres).sum(axis=1)[None, :]
    apart: Floats = np.maximum(squares - 2.0 * (rows @ centres.T), 0.0)
    return apart


def sample_rows(row_count: int, at_most: int, seed: int) -> Rows:
    """Rows in ascending order: all, or a seeded draw where there are more than `at_most`."""
    if row_count <= at_most:
        return np.arange(row_count, dtype=np.int64)
    drawn = np.random.default_rng(seed).choice(row_count, size=at_most, replace=False)
    return np.sort(drawn).astype(np.int64)
