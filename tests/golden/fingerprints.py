"""What a stage's outputs come to, apart from all that may differ between equal outputs: names, keys and file formats.

Every column, and every list of numbers in JSON, has two marks. `exact` is a digest of the values: it has to be the
same on one kind of machine. `about` is a count and four sums, and has to be nearly the same on any other: there floats
may differ in their last digits.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely

from morula.common.tables import read_metadata

Mark = dict[str, Any]
Marks = dict[str, Mark]
Values = npt.NDArray[Any]

NAMES = {"cell_id", "id", "slide_digest", "clustering", "model_revision", "revision"}
"""What is made of keys and digests, or of bytes of the slide's file."""
TOLERANCE = 0.01


def machine() -> str:
    """The kind of machine: on another one the same code may round differently."""
    features = sorted(name for name, there in np._core._multiarray_umath.__cpu_features__.items() if there)
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    return f"{model}, features {hashlib.sha256(' '.join(features).encode()).hexdigest()[:12]}"


def mark(values: Values) -> Mark:
    """The marks of numbers, or of texts."""
    if values.dtype.kind in "OUS":
        texts = [str(value) for value in values.tolist()]
        return {"exact": _digest("\0".join(texts).encode()), "about": [len(texts)]}
    numbers = values.astype(np.float64).ravel()
    finite = numbers[np.isfinite(numbers)]
    place = np.linspace(-1, 1, finite.size)
    sums = [finite.mean(), finite.std(), np.abs(finite).mean(), (finite * place).mean()] if finite.size else [0.0] * 4
    about = [numbers.size, int(finite.size), *(float(f"{value:.6g}") for value in sums)]
    return {"exact": _digest(np.ascontiguousarray(numbers).tobytes()), "about": about}


def of_table(table: pa.Table) -> Marks:
    """The marks of every column, and of what the table says of itself."""
    marks = {name: mark(_column(table[name])) for name in table.column_names if name not in NAMES}
    if table.schema.metadata and b"morula" in table.schema.metadata:
        marks |= {f"metadata.{name}": one for name, one in of_json(read_metadata(table)).items()}
    return marks


def of_json(value: object) -> Marks:
    """The marks of all that stands under one name, wherever in lists that is."""
    found: dict[str, list[Any]] = {}
    for name, leaf in _leaves(value, ""):
        found.setdefault(name, []).append(leaf)
    return {name: mark(_array(leaves)) for name, leaves in found.items()}


def differences(ours: Mapping[str, Mark], pinned: Mapping[str, Mark], *, same_machine: bool) -> list[str]:
    """Names of what differs."""
    names = sorted(ours.keys() | pinned.keys())
    return [name for name in names if not _alike(ours.get(name), pinned.get(name), same_machine)]


def _alike(one: Mark | None, other: Mark | None, same_machine: bool) -> bool:
    if one is None or other is None:
        return False
    if same_machine:
        return bool(one["exact"] == other["exact"])
    a, b = one["about"], other["about"]
    if len(a) != len(b) or a[:2] != b[:2]:
        return False
    scale = max(map(abs, b[2:]), default=0.0)
    return all(abs(x - y) <= TOLERANCE * scale for x, y in zip(a[2:], b[2:], strict=True))


def _leaves(value: object, name: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in NAMES:
                yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple)):
        yield f"{name}[]", len(value)
        for inner in value:
            yield from _leaves(inner, name)
    else:
        yield name, value


def _column(column: pa.ChunkedArray) -> Values:
    whole = column.combine_chunks()
    whole = whole.dictionary_decode() if pa.types.is_dictionary(whole.type) else whole
    if pa.types.is_list(whole.type) or pa.types.is_fixed_size_list(whole.type):
        return _array([leaf for _, leaf in _leaves(whole.to_pylist(), "")])
    if pa.types.is_binary(whole.type):
        return np.asarray(shapely.get_coordinates(shapely.from_wkb(whole.to_numpy(zero_copy_only=False))))
    return _array(whole.to_pylist())


def _array(leaves: Sequence[Any]) -> Values:
    if all(leaf is None or isinstance(leaf, (bool, int, float)) for leaf in leaves):
        return np.array([np.nan if leaf is None else float(leaf) for leaf in leaves], np.float64)
    return np.array([str(leaf) for leaf in leaves], object)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
