"""A truth of pixels: an .npz of NumPy with the class of each pixel and, where cells are told apart, the cell.

`classes` has a whole number for each pixel, 0 for none; `instances`, of the same size, the number of its cell, 0 for
none; `names` what the classes from 1 on are called; `scale` the width of a pixel, `x` and `y` the corner of the first
one, in level-0 px.
"""

from __future__ import annotations

import io
import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from morula.common.compute import Checkpoint, go_on
from morula.common.errors import InvalidArgument, TooLarge
from morula.evaluator.cells import Floats, Ints

BEGINS = b"PK"
PIXELS, CELLS = "classes", "instances"
ARRAYS = (PIXELS, CELLS, "names", "scale", "x", "y")
LARGEST = {PIXELS: 65_535, CELLS: 2**31 - 1}
PIXEL_LIMIT = 2**26
FARTHEST_PX = 1e8
"""No slide reaches as far."""
LIMITS = {PIXELS: PIXEL_LIMIT, CELLS: PIXEL_LIMIT, "names": 65_535}
NAMES_BYTES = 2**24
RUN_LIMIT = 400_000
"""Of equal pixels beside each other. More are no regions, but noise, and would be drawn for many minutes."""
LOOK_EVERY = 64
"""Shapes between two looks at whether anybody still waits."""
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_BROKEN = (
    zipfile.BadZipFile, zlib.error, tokenize.TokenError, OSError, ValueError, EOFError, RuntimeError, SyntaxError,
    MemoryError,
)  # fmt: skip
"""What zipfile and NumPy raise of files that are none of theirs, encrypted ones among them."""


@dataclass(frozen=True)
class Pixels:
    """Polygons along the edges of pixels, in level-0 px, and the class of each."""

    polygons: NDArray[Any]
    classes: list[str]
    are_cells: bool
    """They are single cells, and not regions."""


@dataclass(frozen=True)
class _Runs:
    """Equal pixels beside each other: a row for each."""

    value: Ints
    box: NDArray[Any]
    piece: Ints
    """Number of what it hangs together with."""


def read(data: bytes, checkpoint: Checkpoint = go_on) -> Pixels:
    """The polygons of a file; InvalidArgument says in a line what is wrong with it."""
    arrays = _arrays(data)
    classes = _numbered(arrays, PIXELS)
    names = [str(name).strip() for name in arrays["names"].ravel()] if "names" in arrays else []
    most = int(classes.max(initial=0))
    names += [str(number) for number in range(1, most + 1)] if "names" not in arrays else []
    if most > len(names) or not all(names):
        raise InvalidArgument(f"`names` of the truth has {len(names)} names, and there is a class {most}")
    place = [_number(arrays, name, default) for name, default in (("scale", 1.0), ("x", 0.0), ("y", 0.0))]
    if place[0] <= 0:
        raise InvalidArgument(f"`scale` of the truth is {place[0]:g}: a pixel has a width")
    if max(classes.shape, default=0) * place[0] + max(map(abs, place[1:])) > FARTHEST_PX:
        raise InvalidArgument("the truth lies nowhere on a slide")
    if CELLS not in arrays:
        found = list(_drawn(_runs(classes, place), checkpoint))
    else:
        cells = _numbered(arrays, CELLS)
        if cells.shape != classes.shape:
            raise InvalidArgument(f"`instances` of the truth is {cells.shape} pixels, `classes` {classes.shape}")
        class_of = _commonest(cells, classes)
        largest = _largest(_drawn(_runs(cells, place), checkpoint))
        found = [(class_of[cell], polygon) for cell, polygon in largest.items() if cell in class_of]
    polygons = np.empty(len(found), object)
    polygons[:] = [polygon for _, polygon in found]
    return Pixels(polygons, [names[value - 1] for value, _ in found], are_cells=CELLS in arrays)


def _arrays(data: bytes) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            # A header may claim what the file does not hold: nothing is read of what would be too much.
            there = [name for name in ARRAYS if f"{name}.npy" in archive.namelist()]
            for name in there:
                _check_size(name, *_header(archive, name))
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            found = {name: np.asarray(stored[name]) for name in there}
    except _BROKEN as error:
        raise InvalidArgument(f"the truth is no .npz of NumPy: {str(error)[:200] or type(error).__name__}") from error
    if PIXELS not in found:
        raise InvalidArgument(f"the truth is an .npz without `{PIXELS}`, the class of each pixel")
    return found


def _header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    with archive.open(f"{name}.npy") as file:
        read = _HEADERS.get(np.lib.format.read_magic(file))
        if read is None:
            raise ValueError(f"`{name}` is of a version of NumPy's format that holds no plain numbers")
        shape, _, dtype = read(file)
    return shape, dtype


def _check_size(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    count = math.prod(shape)
    limit = LIMITS.get(name, 1)
    if count > limit or (name not in (PIXELS, CELLS) and count * dtype.itemsize > NAMES_BYTES):
        raise TooLarge(f"`{name}` of the truth has {count:,} entries of {dtype.itemsize} bytes: that is too much")


def _numbered(arrays: dict[str, NDArray[Any]], name: str) -> Ints:
    found = arrays[name]
    if found.ndim != 2 or found.dtype.kind not in "uib":
        raise InvalidArgument(
            f"`{name}` of the truth is {found.ndim}-dimensional {found.dtype}: it is whole numbers in 2"
        )
    if found.size and found.min() < 0:
        raise InvalidArgument(f"`{name}` of the truth has {found.min()}: 0 is none, and there is nothing below")
    if found.size and found.max() > LARGEST[name]:
        raise InvalidArgument(f"`{name}` of the truth has {found.max()}, more than {LARGEST[name]:,}")
    return found


def _number(arrays: dict[str, NDArray[Any]], name: str, default: float) -> float:
    if name not in arrays:
        return default
    if arrays[name].size != 1 or arrays[name].dtype.kind not in "uif" or not np.isfinite(arrays[name]).all():
        raise InvalidArgument(f"`{name}` of the truth is no number")
    return float(arrays[name].ravel()[0])


def _runs(pixels: Ints, place: list[float]) -> _Runs:
    """Runs of pixels that are something, by row and column, and the piece that each is of."""
    width = pixels.shape[1]
    flat = pixels.ravel()
    begins = flat != 0
    if not begins.any():
        return _Runs(np.zeros(0, np.int64), np.zeros(0, object), np.zeros(0, np.int64))
    ends = begins.copy()
    differs = flat[1:] != flat[:-1]
    differs[width - 1 :: width] = True
    begins[1:] &= differs
    ends[:-1] &= differs
    # Counted before any of them is looked at: a mark for each pixel is what there is room for, a number is not.
    if (count := np.count_nonzero(begins)) > RUN_LIMIT:
        raise TooLarge(f"the truth has {count:,} runs of equal pixels, more than {RUN_LIMIT:,}: is it noise?")
    start, stop = np.flatnonzero(begins), np.flatnonzero(ends) + 1
    value = flat[start].astype(np.int64)
    scale, x, y = place
    row, left = np.divmod(start, width)
    edges: list[Floats] = [x + left * scale, y + row * scale, x + (left + stop - start) * scale, y + (row + 1) * scale]
    return _Runs(value, shapely.box(*edges), _pieces(start, stop, value, width))


def _pieces(start: Ints, stop: Ints, value: Ints, width: int) -> Ints:
    """The piece of each run: runs of one value are joined where pixels of two rows lie on each other."""
    first = np.searchsorted(stop, start + width, "right")
    past = np.searchsorted(start, stop + width, "left")
    counts = np.maximum(past - first, 0)
    above = np.repeat(np.arange(len(start)), counts)
    below = np.arange(len(above)) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)
    same = value[above] == value[below]
    shape = (len(start), len(start))
    graph = coo_array((np.ones(int(same.sum()), np.int8), (above[same], below[same])), shape=shape)
    piece: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
    return piece


def _drawn(runs: _Runs, checkpoint: Checkpoint) -> Iterator[tuple[int, Any]]:
    """The polygon of each piece, with its value."""
    order = np.argsort(runs.piece, kind="stable")
    firsts = np.flatnonzero(np.diff(runs.piece[order], prepend=-1))
    for number, rows in enumerate(np.split(order, firsts[1:]) if len(order) else ()):
        if number % LOOK_EVERY == 0:
            checkpoint()
        yield int(runs.value[rows[0]]), runs.box[rows[0]] if len(rows) == 1 else shapely.union_all(runs.box[rows])


def _commonest(cells: Ints, classes: Ints) -> dict[int, int]:
    """The class that most pixels of each cell have; a cell of which none has one is not there."""
    inside = (cells > 0) & (classes > 0)
    count = int(classes.max(initial=0)) + 1
    pairs, sizes = np.unique(cells[inside].astype(np.int64) * count + classes[inside], return_counts=True)
    cell, name = np.divmod(pairs, count)
    order = np.lexsort((name, -sizes, cell))
    firsts = np.unique(cell[order], return_index=True)[1]
    return dict(zip(cell[order][firsts].tolist(), name[order][firsts].tolist(), strict=True))


def _largest(drawn: Iterator[tuple[int, Any]]) -> dict[int, Any]:
    """The largest piece of each cell: pixels that meet at a corner only are two."""
    found: dict[int, Any] = {}
    for value, piece in drawn:
        if value not in found or piece.area > found[value].area:
            found[value] = piece
    return found
