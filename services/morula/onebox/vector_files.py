"""Files of vectors, one row for each cell: .npy, Parquet, AnnData (.h5ad), and folders of `morula embed`."""

from __future__ import annotations

from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from morula.onebox.failures import Unreadable, WrongUse

Vectors = NDArray[Any]
VECTORS = "vectors.npy"
INDEX = "index.parquet"
MAX_COLUMNS = 8192
"""Their axes are found from a square of so many columns: half a gigabyte."""
INSTALL_H5PY = ".venv/bin/pip install -e '.[h5ad]' in the checkout"


def read_vectors(source: Path) -> Vectors:
    """The table of a file; an .npy stays on disk until its rows are read."""
    if not source.exists():
        raise WrongUse(f"{source} is not there")
    if source.is_dir():
        return _of_folder(source)
    if not source.is_file():
        raise WrongUse(f"{source} is no file: a table of vectors is read from its end")
    readers = {".npy": _npy, ".parquet": _parquet, ".h5ad": _h5ad}
    if source.suffix not in readers:
        raise WrongUse(f"{source} is no table of vectors: a file ends in {', '.join(readers)}, a folder has {VECTORS}")
    return _checked(readers[source.suffix](source), source)


def _of_folder(folder: Path) -> Vectors:
    if not (folder / VECTORS).is_file():
        raise WrongUse(f"{folder} has no {VECTORS}")
    vectors = read_vectors(folder / VECTORS)
    if (index := folder / INDEX).is_file() and (count := pq.read_metadata(index).num_rows) != len(vectors):
        raise Unreadable(
            f"{folder}: {INDEX} has {count} rows and {VECTORS} {len(vectors)}; they do not belong together"
        )
    return vectors


def _checked(vectors: Vectors, source: Path) -> Vectors:
    if vectors.dtype.kind not in "fiub":
        raise WrongUse(f"{source} holds {vectors.dtype}, not real numbers")
    _check_shape(vectors.shape, source)
    return vectors


def _check_shape(shape: tuple[int, ...], source: Path) -> None:
    if len(shape) != 2:
        raise WrongUse(f"{source} has the shape {shape}; a table of vectors has rows and columns")
    if not all(shape):
        raise WrongUse(f"{source} has {shape[0]} rows and {shape[1]} columns: there is nothing to cluster")
    if shape[1] > MAX_COLUMNS:
        raise WrongUse(f"{source} has {shape[1]} columns, more than {MAX_COLUMNS}: reduce them first, as by a PCA")


def _npy(path: Path) -> Vectors:
    try:
        return np.asanyarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError, OverflowError, TokenError) as error:
        raise Unreadable(f"{path} cannot be read as an .npy array: {error}") from error


def _parquet(path: Path) -> Vectors:
    """One column of lists of one length, or all columns of fractions, beside which there may be others."""
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise Unreadable(f"{path} cannot be read as Parquet: {error}") from error
    lists = [name for name in table.column_names if _is_of_vectors(table[name])]
    if len(lists) == 1:
        return _of_lists(table[lists[0]].combine_chunks())
    names = [name for name in table.column_names if pa.types.is_floating(table[name].type)]
    if not names:
        found = f"more than one of lists of one length ({', '.join(lists)})" if lists else "none of lists of one length"
        raise WrongUse(f"{path} has no column of fractions, and {found}")
    return np.stack([table[name].to_numpy() for name in names], axis=1)


def _is_of_vectors(column: Any) -> bool:
    """Whether it holds lists, all of one length however the file calls them."""
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return len(pc.unique(pc.drop_null(pc.list_value_length(column)))) == 1
    return bool(pa.types.is_fixed_size_list(kind))


def _of_lists(column: Any) -> Vectors:
    """A row each; NaN where there is no list."""
    there = column.is_valid().to_numpy(zero_copy_only=False)
    numbers = np.asarray(column.drop_null().flatten().to_numpy(zero_copy_only=False))
    lists = numbers.reshape(np.count_nonzero(there), -1)
    if there.all():
        return lists
    rows = np.full((len(column), lists.shape[1]), np.nan, np.result_type(lists, np.float32))
    rows[there] = lists
    return rows


def _h5ad(path: Path) -> Vectors:
    """The matrix X, dense or sparse."""
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise WrongUse(f"reading .h5ad needs h5py, which is not installed: {INSTALL_H5PY}") from error
    try:
        with h5py.File(path) as file:
            matrix = file["X"]
            _check_within(file, path)
            if isinstance(matrix, h5py.Dataset):
                _check_shape(matrix.shape or (), path)
                return np.asarray(matrix)
            return _dense(matrix, path)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise Unreadable(f"{path} cannot be read as .h5ad: {error}") from error


def _check_within(file: Any, path: Path) -> None:
    """A file that came from elsewhere does not say which other file is opened here."""
    import h5py

    matrix = file["X"]
    parts = [matrix] if isinstance(matrix, h5py.Dataset) else list(matrix.values())
    links = [file.get("X", getlink=True)]
    links += [] if isinstance(matrix, h5py.Dataset) else [matrix.get(name, getlink=True) for name in matrix]
    if any(isinstance(link, h5py.ExternalLink) for link in links) or any(
        part.external or part.is_virtual for part in parts if isinstance(part, h5py.Dataset)
    ):
        raise WrongUse(f"{path} keeps its numbers in another file: write them into this one")


def _dense(group: Any, path: Path) -> Vectors:
    from scipy.sparse import csc_array, csr_array

    kinds = {"csr_matrix": csr_array, "csc_matrix": csc_array}
    kind = kinds[str(group.attrs["encoding-type"])]
    parts = tuple(np.asarray(group[name]) for name in ("data", "indices", "indptr"))
    shape = tuple(int(length) for length in group.attrs["shape"])
    _check_shape(shape, path)
    made = kind(parts, shape=shape)
    made.check_format()  # An index that lies outside would be written outside.
    return np.asarray(made.toarray())
