"""A truth of pixels: an .npz of NumPy with the class of each pixel and, where cells are told apart, the cell.

`classes` has a whole number for each pixel, 0 for none; `instances`, of the same size, the number of its cell, 0 for
none; `names` what the classes from 1 on are called; `scale` the width of a pixel, `x` and `y` the corner of the first
one, in level-0 px.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from morula.common.errors import InvalidArgument, TooLarge
from morula.evaluator.cells import Floats, Ints

BEGINS = b"PK"
PIXELS, CELLS = "classes", "instances"
ARRAYS = (PIXELS, CELLS, "names", "scale", "x", "y")
UNPACKED_LIMIT = 2 * 1024**3
LARGEST = {PIXELS: 65_535, CELLS: 2**31 - 1}
RUN_LIMIT = 4_000_000
"""Of equal pixels beside each other. More are no regions, but noise, and would be drawn for hours."""


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


def read(data: bytes) -> Pixels:
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
    if CELLS not in arrays:
        found = [
            (polygon, value) for value, shape in _drawn(_runs(classes, place)) for polygon in shapely.get_parts(shape)
        ]
        return Pixels(_listed([one for one, _ in found]), [names[value - 1] for _, value in found], are_cells=False)
    cells = _numbered(arrays, CELLS)
    if cells.shape != classes.shape:
        raise InvalidArgument(f"`instances` of the truth is {cells.shape} pixels, `classes` {classes.shape}")
    class_of = _commonest(cells, classes)
    drawn = [(_largest(shape), class_of[value]) for value, shape in _drawn(_runs(cells, place)) if value in class_of]
    return Pixels(_listed([one for one, _ in drawn]), [names[value - 1] for _, value in drawn], are_cells=True)


def _arrays(data: bytes) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(one.file_size for one in archive.infolist())
        if unpacked > UNPACKED_LIMIT:
            raise TooLarge(f"the truth unpacks to {unpacked:,} bytes, more than {UNPACKED_LIMIT:,}")
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            found = {name: stored[name] for name in ARRAYS if name in stored.files}
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError, MemoryError) as error:
        raise InvalidArgument(f"the truth is no .npz of NumPy: {str(error)[:200]}") from error
    if PIXELS not in found:
        raise InvalidArgument(f"the truth is an .npz without `{PIXELS}`, the class of each pixel")
    return found


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
    """Runs of pixels that are something, by value."""
    width = pixels.shape[1]
    flat = pixels.ravel()
    begins = np.empty(len(flat), bool)
    np.not_equal(flat[1:], flat[:-1], out=begins[1:])
    begins[::width] = True
    start = np.flatnonzero(begins)
    stop = np.append(start[1:], len(flat))
    inside = np.flatnonzero(flat[start])
    if len(inside) > RUN_LIMIT:
        raise TooLarge(f"the truth has {len(inside):,} runs of equal pixels, more than {RUN_LIMIT:,}: is it noise?")
    value = flat[start[inside]].astype(np.int64)
    inside = inside[np.argsort(value, kind="stable")]
    scale, x, y = place
    row, left = np.divmod(start[inside], width)
    right = left + stop[inside] - start[inside]
    edges: list[Floats] = [x + left * scale, y + row * scale, x + right * scale, y + (row + 1) * scale]
    return _Runs(np.sort(value, kind="stable"), shapely.box(*edges))


def _drawn(runs: _Runs) -> Iterator[tuple[int, Any]]:
    """Each value with the shape of its pixels."""
    values, firsts = np.unique(runs.value, return_index=True)
    for value, boxes in zip(values.tolist(), np.split(runs.box, firsts[1:]), strict=False):
        yield value, shapely.union_all(boxes)


def _commonest(cells: Ints, classes: Ints) -> dict[int, int]:
    """The class that most pixels of each cell have; a cell of which none has one is not there."""
    inside = (cells > 0) & (classes > 0)
    count = int(classes.max(initial=0)) + 1
    pairs, sizes = np.unique(cells[inside].astype(np.int64) * count + classes[inside], return_counts=True)
    cell, name = np.divmod(pairs, count)
    order = np.lexsort((name, -sizes, cell))
    firsts = np.unique(cell[order], return_index=True)[1]
    return dict(zip(cell[order][firsts].tolist(), name[order][firsts].tolist(), strict=True))


def _largest(shape: Any) -> Any:
    """Pixels that meet at a corner only are two polygons: the larger one is the cell."""
    parts = shapely.get_parts(shape)
    return parts[int(shapely.area(parts).argmax())]


def _listed(polygons: list[Any]) -> NDArray[Any]:
    listed = np.empty(len(polygons), object)
    listed[:] = polygons
    return listed
