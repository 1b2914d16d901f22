"""Files of vectors, one row for each cell: .npy, Parquet, AnnData (.h5ad), and folders of `morula embed`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from morula.onebox.failures import Unreadable, WrongUse

Vectors = NDArray[Any]
VECTORS = "vectors.npy"
INDEX = "index.parquet"
INSTALL_H5PY = ".venv/bin/pip install -e '.[h5ad]' in the checkout"


def read_vectors(source: Path) -> Vectors:
    """The table of a file; an .npy stays on disk until its rows are read."""
    if not source.exists():
        raise WrongUse(f"{source} is not there")
    if source.is_dir():
        return _of_folder(source)
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
    if vectors.ndim != 2:
        raise WrongUse(f"{source} has the shape {vectors.shape}; a table of vectors has rows and columns")
    if not vectors.size:
        raise WrongUse(f"{source} has {len(vectors)} rows and {vectors.shape[1]} columns: there is nothing to cluster")
    return vectors


def _npy(path: Path) -> Vectors:
    try:
        return np.asanyarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise Unreadable(f"{path} cannot be read as an .npy array: {error}") from error


def _parquet(path: Path) -> Vectors:
    """One column of lists of one length, or all columns of fractions, beside which there may be others."""
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise Unreadable(f"{path} cannot be read as Parquet: {error}") from error
    lists = [name for name in table.column_names if pa.types.is_fixed_size_list(table[name].type)]
    if len(lists) == 1:
        column = table[lists[0]].combine_chunks()
        flat = column.flatten().to_numpy(zero_copy_only=False)
        return np.asarray(flat).reshape(len(column), column.type.list_size)
    names = [name for name in table.column_names if pa.types.is_floating(table[name].type)]
    if not names:
        raise WrongUse(f"{path} has no column of fractions, and none of lists of one length")
    return np.stack([table[name].to_numpy() for name in names], axis=1)


def _h5ad(path: Path) -> Vectors:
    """The matrix X, dense or sparse."""
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise WrongUse(f"reading .h5ad needs h5py, which is not installed: {INSTALL_H5PY}") from error
    try:
        with h5py.File(path) as file:
            matrix = file["X"]
            return np.asarray(matrix) if isinstance(matrix, h5py.Dataset) else _dense(matrix)
    except (OSError, KeyError, ValueError) as error:
        raise Unreadable(f"{path} cannot be read as .h5ad: {error}") from error


def _dense(group: Any) -> Vectors:
    from scipy.sparse import csc_array, csr_array

    kinds = {"csr_matrix": csr_array, "csc_matrix": csc_array}
    kind = kinds[str(group.attrs["encoding-type"])]
    parts = tuple(np.asarray(group[name]) for name in ("data", "indices", "indptr"))
    return np.asarray(kind(parts, shape=tuple(group.attrs["shape"])).toarray())
