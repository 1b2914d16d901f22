"""`morula evaluate`: assignments and a truth in, a report and its numbers out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from morula.common.compute import go_on
from morula.evaluator import published_files, report
from morula.evaluator.cells import Cells, Floats, Ints
from morula.evaluator.comparison import compare
from morula.evaluator.core import Report, Wanted, evaluate, silent
from morula.evaluator.truth_table import IDS, Assigned, TruthTable, clusters_in, join, read, rows_of, without_flagged
from morula.onebox import published_batches
from morula.onebox.failures import Unreadable, WrongUse, read_bytes
from morula.onebox.published_batches import is_published
from morula.onebox.results import check_out, staging
from morula.onebox.vector_files import read_vectors

REPORT = "report.html"
NUMBERS = "evaluation.json"
OURS, THEIRS = 0, -1
"""cluster_id of cells in no cluster."""


@dataclass(frozen=True)
class Request:
    """What to evaluate, against what, and where to leave it. Tables have a row for each row of the assignments."""

    assignments: Path
    truth: Path
    out: Path
    noise: int | None = None
    """cluster_id of cells in no cluster; None: told from the table (`_noise_of`)."""
    vectors: Path | None = None
    morphology: Path | None = None
    is_apart: bool = False
    """Clusters of each slide are its own."""
    against: Path | None = None
    """Other assignments of the same cells, to compare with."""
    leaves_out_flagged: bool = False
    """Cells that are flagged as badly segmented are no part of the truth."""
    wanted: Wanted = field(default_factory=Wanted)


def run(request: Request, tell: Report = silent) -> dict[str, Any]:
    """Leaves the report and its numbers, or neither; what evaluation.json says."""
    check_out(request.out)
    truth, assigned, remarks = _read(request)
    if request.leaves_out_flagged:
        truth, count = without_flagged(truth)
        remarks = [f"{count:,} rows of the truth are of badly segmented cells: they are left out", *remarks]
    cells, match = join(truth, assigned)
    cells = replace(
        cells,
        is_apart=request.is_apart or is_published(request.assignments),
        vectors=_rows(request.vectors, assigned, cells),
        morphology=_rows(request.morphology, assigned, cells),
    )
    words = {"assignments": request.assignments.name, "truth": request.truth.name}
    found = {"of": words, **evaluate(cells, match, request.wanted, go_on, tell)}
    found["remarks"] = [*remarks, *found["remarks"]]
    if request.against is not None:
        found["comparison"] = _compared(request.against, request, assigned, cells)
    _write(request.out, {NUMBERS: json.dumps(found, indent=1, allow_nan=False), REPORT: report.page(found)})
    return found


def _compared(path: Path, request: Request, assigned: Assigned, cells: Cells) -> dict[str, Any]:
    other = _assigned(path, request.noise)
    cluster, is_there = clusters_in(other, assigned, rows_of(cells))
    return {"with": path.name, **compare(cells, cluster, is_there, other.noise, request.wanted)}


def _write(out: Path, files: dict[str, str]) -> None:
    with staging(out) as folder:
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        for name in files:
            (folder / name).replace(out / name)


def _read(request: Request) -> tuple[TruthTable, Assigned, list[str]]:
    """Truth and assignments, and what has to be known of them."""
    if is_published(request.assignments):
        batches, remarks = published_batches.read(request.assignments, request.truth)
        truth, assigned, more = published_files.tables(batches)
        return truth, assigned, [*remarks, *more]
    assigned = _assigned(request.assignments, request.noise)
    if is_published(request.truth):
        truth, remarks = published_batches.read_labels(request.truth)
        return truth, assigned, remarks
    return read(read_bytes(request.truth)), assigned, []


def _assigned(path: Path, noise: int | None) -> Assigned:
    if not path.is_file():
        raise WrongUse(f"{path} is not there")
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise Unreadable(f"{path} cannot be read as Parquet: {error}") from error
    names = table.column_names
    if "cluster_id" not in names or not any(name in names for name in IDS):
        raise WrongUse(f"{path} needs the columns cluster_id and {' or '.join(IDS)}; it has {', '.join(names)}")
    cluster = _column(table, "cluster_id", pa.types.is_integer, pa.int64(), f"a whole number in every row of {path}")
    confidence = None
    if "confidence" in names:
        confidence = _column(table, "confidence", _is_number, pa.float64(), f"a number in every row of {path}")
    if noise is None:
        noise = _noise_of(cluster, confidence)
    if len(strange := np.unique(cluster[(cluster < 0) & (cluster != noise)])):
        raise WrongUse(f"cluster_id {strange[0]} of {path} is no cluster: say --noise {strange[0]} if it means none")
    return Assigned(
        ids={name: _ids(table, name, path) for name in IDS if name in names},
        cluster=cluster,
        confidence=confidence,
        noise=noise,
    )


def _column(
    table: pa.Table, name: str, suits: Callable[[pa.DataType], bool], wanted: pa.DataType, words: str
) -> NDArray[Any]:
    """A column as numbers of one kind, none of which is missing."""
    column = table[name]
    try:
        if suits(column.type) and not column.null_count:
            numbers: NDArray[Any] = column.cast(wanted).to_numpy()
            return numbers
    except pa.ArrowInvalid as error:
        raise WrongUse(f"{name} has to be {words}: {error}") from error
    raise WrongUse(f"{name} has to be {words}")


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _ids(table: pa.Table, name: str, path: Path) -> pa.Array:
    """Ids of the cells, as words or whole numbers, however they are encoded."""
    column = table[name].combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not (
        pa.types.is_integer(column.type) or pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    ):
        raise WrongUse(f"{name} of {path} is {column.type}: it has to be whole numbers or text")
    if column.null_count:
        raise WrongUse(f"{name} of {path} is missing in {column.null_count:,} rows")
    return column if pa.types.is_integer(column.type) else column.cast(pa.string())


def _noise_of(cluster: Ints, confidence: Floats | None) -> int:
    """-1, as most programs have it; 0 where it is as in tables of Morula: there is no -1, and 0 is never sure."""
    nothing = cluster == OURS
    if (cluster < 0).any() or confidence is None or not nothing.any():
        return THEIRS
    return OURS if not confidence[nothing].any() else THEIRS


def _rows(source: Path | None, assigned: Assigned, cells: Cells) -> Floats | None:
    """Rows of a table that belong to the matched cells."""
    if source is None:
        return None
    table = read_vectors(source)
    if len(table) != len(assigned.cluster):
        raise WrongUse(f"{source} has {len(table):,} rows, the assignments {len(assigned.cluster):,}")
    return np.asarray(table[rows_of(cells)], np.float64)
