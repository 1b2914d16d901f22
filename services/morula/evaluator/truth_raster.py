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
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from morula.common.compute import Checkpoint, go_on
from morula.common.errors import InvalidArgument, TooLarge
from morula.evaluator.cells import Ints

BEGINS = b"PK"
PIXELS, CELLS = "classes", "instances"
ARRAYS = (PIXELS, CELLS, "names", "scale", "x", "y")
LARGEST = {PIXELS: 65_535, CELLS: 2**31 - 1}
PIXEL_LIMIT = 2**26
FARTHEST_PX = 1e8
"""No slide reaches as far."""
LIMITS = {PIXELS: PIXEL_LIMIT, CELLS: PIXEL_LIMIT, "names": 65_535}
OTHER_BYTES = 2**24
"""Of what is no pixels: an entry of text is as wide as its header says."""
RUN_LIMIT = 400_000
"""Of equal pixels beside each other. More are no regions, but noise, and would be drawn for many minutes."""
LOOK_EVERY = 1024
"""Corners between two looks at whether anybody still waits."""
_BROKEN = (
    zipfile.BadZipFile, zlib.error, tokenize.TokenError, OSError, ValueError, EOFError, RuntimeError, SyntaxError,
    MemoryError, OverflowError, TypeError, LookupError,
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
    row: Ints
    start: Ints
    stop: Ints
    """Columns of its first pixel and of the one after its last."""
    piece: Ints
    """Number of what it hangs together with."""


def read(data: bytes, checkpoint: Checkpoint = go_on) -> Pixels:
    """The polygons of a file; InvalidArgument says in a line what is wrong with it."""
    arrays = _arrays(data)
    classes = _numbered(arrays, PIXELS)
    names = _names(arrays["names"]) if "names" in arrays else []
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
        value, polygons = _drawn(_runs(classes), place, checkpoint)
        return Pixels(polygons, [names[number - 1] for number in value.tolist()], are_cells=False)
    cells = _numbered(arrays, CELLS)
    if cells.shape != classes.shape:
        raise InvalidArgument(f"`instances` of the truth is {cells.shape} pixels, `classes` {classes.shape}")
    class_of = _commonest(cells, classes)
    cell, polygons = _largest(*_drawn(_runs(cells), place, checkpoint))
    kept = np.array([number in class_of for number in cell.tolist()], bool)
    return Pixels(polygons[kept], [names[class_of[number] - 1] for number in cell[kept].tolist()], are_cells=True)


def _arrays(data: bytes) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.namelist()
            names = [name.removesuffix(".npy") for name in members]
            for name, member in zip(names, members, strict=True):
                if name not in ARRAYS or names.count(name) > 1 or name == member:
                    raise InvalidArgument(
                        f"the truth has {member[:200]!r}: it may have each of {', '.join(ARRAYS)} once"
                    )
            if PIXELS not in names:
                raise InvalidArgument(f"the truth is an .npz without `{PIXELS}`, the class of each pixel")
            return {name: _array(archive, name) for name in names}
    except _BROKEN as error:
        raise InvalidArgument(f"the truth is no .npz of NumPy: {str(error)[:200] or type(error).__name__}") from error


def _names(found: NDArray[Any]) -> list[str]:
    try:
        if found.dtype.kind != "U":
            raise ValueError(f"it is {found.dtype}")
        return [str(name).strip() for name in found.ravel()]
    except (ValueError, SystemError) as error:  # the latter of letters that there are none of
        raise InvalidArgument(f"`names` of the truth is no text: {error}") from error


def _array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """An array. A header may claim what the file does not hold: nothing is read of what would be too much."""
    member = archive.getinfo(f"{name}.npy")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"`{name}` is packed in a way that NumPy has not")
    with archive.open(member) as file:
        # Headers of later versions have no bound; what needs them are fields with names, of which there are none here.
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"`{name}` is of a version of NumPy's format that holds no plain numbers")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        _check_size(name, shape, dtype)
        file.seek(0)
        found: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    return found


def _check_size(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if name in LARGEST and (len(shape) != 2 or dtype.kind not in "uib"):
        raise InvalidArgument(f"`{name}` of the truth is {len(shape)}-dimensional {dtype}: it is whole numbers in 2")
    count = math.prod(shape)
    if count > LIMITS.get(name, 1) or (name not in LARGEST and count * dtype.itemsize > OTHER_BYTES):
        raise TooLarge(f"`{name}` of the truth has {count:,} entries of {dtype.itemsize} bytes: that is too much")


def _numbered(arrays: dict[str, NDArray[Any]], name: str) -> Ints:
    found = arrays[name]
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


def _runs(pixels: Ints) -> _Runs:
    """Runs of pixels that are something, by row and column, and the piece that each is of."""
    width = pixels.shape[1]
    flat = pixels.ravel()
    begins = flat != 0
    if not begins.any():
        nothing = np.zeros(0, np.int64)
        return _Runs(nothing, nothing, nothing, nothing, nothing)
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
    row, left = np.divmod(start, width)
    return _Runs(value, row, left, left + stop - start, _pieces(start, stop, value, width))


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


def _drawn(runs: _Runs, place: list[float], checkpoint: Checkpoint) -> tuple[Ints, NDArray[Any]]:
    """The polygon of each piece, with its value: traced along its edges, in a time that its corners alone tell."""
    piece, line, column, across, down = _corners(runs)
    corners, lengths = _walked(across.tolist(), down.tolist(), checkpoint)
    scale, x, y = place
    ring = np.repeat(np.arange(len(lengths)), lengths)
    rings = shapely.linearrings(x + column[corners] * scale, y + line[corners] * scale, indices=ring)
    of = piece[corners[np.cumsum(lengths) - lengths]]
    # Holes lie in what they are holes of, which is the largest of a piece's rings.
    order = np.lexsort((-shapely.area(shapely.polygons(rings)), of))
    checkpoint()
    polygons = shapely.polygons(rings[order], indices=of[order])
    return runs.value[np.unique(runs.piece, return_index=True)[1]], polygons


def _corners(runs: _Runs) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Corners of all pieces: the piece, row and column of each, and the corners at the other ends of its two edges.

    Where a piece meets itself at a corner there are two, one with the edges on the left and one with those on the
    right: so no ring meets itself.
    """
    ends, starts = np.ones_like(runs.row), np.zeros_like(runs.row)
    piece = np.tile(runs.piece, 4)
    line = np.concatenate([runs.row, runs.row, runs.row + 1, runs.row + 1])
    column = np.concatenate([runs.start, runs.stop, runs.start, runs.stop])
    is_end = np.concatenate([starts, ends, starts, ends])
    is_above = np.concatenate([starts, starts, ends, ends])
    # Where a piece goes straight on, the run above and the run below begin or end alike: that is no corner.
    order = np.lexsort((is_end, column, line, piece))
    same = np.ones(len(order) - 1 if len(order) else 0, bool)
    for part in (piece, line, column, is_end):
        same &= part[order[1:]] == part[order[:-1]]
    alone = np.ones(len(order), bool)
    alone[1:] &= ~same
    alone[:-1] &= ~same
    kept = order[alone]
    piece, line, column, is_end, is_above = (part[kept] for part in (piece, line, column, is_end, is_above))
    across = _partners(np.lexsort((-is_above, column, line, piece)))
    down = _partners(np.lexsort((is_end, line, column, piece)))
    return piece, line, column, across, down


def _partners(order: Ints) -> Ints:
    """Along a line edges begin and end in turns: the first corner goes with the second, the third with the fourth."""
    partners = np.empty_like(order)
    partners[order[0::2]], partners[order[1::2]] = order[1::2], order[0::2]
    return partners


def _walked(across: list[int], down: list[int], checkpoint: Checkpoint) -> tuple[Ints, Ints]:
    """Corners ring by ring, and how many each ring has."""
    was = bytearray(len(across))
    corners: list[int] = []
    lengths: list[int] = []
    for first in range(len(across)):
        before, at = len(corners), first
        while not was[at]:
            if len(corners) % LOOK_EVERY == 0:
                checkpoint()
            beside = across[at]
            was[at] = was[beside] = True
            corners += (at, beside)
            at = down[beside]
        if len(corners) > before:
            lengths.append(len(corners) - before)
    return np.array(corners, np.int64), np.array(lengths, np.int64)


def _commonest(cells: Ints, classes: Ints) -> dict[int, int]:
    """The class that most pixels of each cell have; a cell of which none has one is not there."""
    inside = (cells > 0) & (classes > 0)
    count = int(classes.max(initial=0)) + 1
    pairs, sizes = np.unique(
        cells[inside].astype(np.int64) * count + classes[inside].astype(np.int64), return_counts=True
    )
    cell, name = np.divmod(pairs, count)
    order = np.lexsort((name, -sizes, cell))
    firsts = np.unique(cell[order], return_index=True)[1]
    return dict(zip(cell[order][firsts].tolist(), name[order][firsts].tolist(), strict=True))


def _largest(value: Ints, pieces: NDArray[Any]) -> tuple[Ints, NDArray[Any]]:
    """The largest piece of each cell: pixels that meet at a corner only are two."""
    order = np.lexsort((-shapely.area(pieces), value))
    cells, firsts = np.unique(value[order], return_index=True)
    return cells, pieces[order[firsts]]
