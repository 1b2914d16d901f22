"""Plain artifacts: .npy arrays and JSON. Readers trust no file."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from morula.common.errors import ArtifactInvalid

Source = bytes | Path


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turns any error of a library about a damaged file into ArtifactInvalid."""
    try:
        yield
    except (pa.ArrowException, OSError, EOFError, ValueError, OverflowError, KeyError, TypeError) as error:
        raise ArtifactInvalid(f"{what} cannot be read: {str(error)[:200]}") from error


def write_json(value: object) -> bytes:
    """Compact JSON with sorted keys: equal values are equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def read_json(source: Source) -> Any:
    with reading("the JSON"):
        return json.loads(source if isinstance(source, bytes) else source.read_bytes())


def write_array(array: NDArray[Any]) -> bytes:
    """The array as .npy."""
    sink = io.BytesIO()
    np.save(sink, np.ascontiguousarray(array), allow_pickle=False)
    return sink.getvalue()


def read_array(source: Source, *, mmap: bool = False) -> NDArray[Any]:
    """An .npy array, never a pickle; `mmap` leaves a file's numbers on disk until they are read."""
    with reading("the array"):
        if isinstance(source, Path):
            loaded = np.load(source, allow_pickle=False, mmap_mode="r" if mmap else None)
        else:
            loaded = np.load(io.BytesIO(source), allow_pickle=False)
    if not isinstance(loaded, np.ndarray):
        raise ArtifactInvalid("the artifact is an archive, not an array")
    return loaded
