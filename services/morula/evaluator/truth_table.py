"""A truth as a table: CSV with `cell_id` or `row`, `class`, and where they are known tile, slide, batch and more."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from morula.common.errors import InvalidArgument
from morula.evaluator.cells import IN_NONE, Cells, Flags, Floats, Ints, Match, Named, Part

CLASS = "class"
IDS = ("cell_id", "row")
FLAG = "badly_segmented"
PARTS = ("slide", "tile", "batch", "tissue", "species", "annotator", FLAG)
NAMED = 20
"""So many ids are named of those that went wrong; all are counted."""
_WHOLE = "^[0-9]{1,18}$"
_UUID = "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"
_FLAGS = {"true": True, "1": True, "false": False, "0": False, "": False}

Columns = dict[str, pa.Array]


@dataclass(frozen=True)
class TruthTable:
    """Rows that say of a cell what it is; rows without a class are not here."""

    ids: Columns
    """By `cell_id`, `row` or both."""
    classes: pa.Array
    parts: Columns


@dataclass(frozen=True)
class Assigned:
    """Cells and their clusters, as `assignments.parquet` has them."""

    ids: Columns
    cluster: Ints
    confidence: Floats | None = None
    noise: int = IN_NONE


def read(data: bytes) -> TruthTable:
    """The table of a CSV; InvalidArgument says in a line what is wrong with it."""
    columns = columns_of(data)
    if CLASS not in columns or not any(name in columns for name in IDS):
        raise InvalidArgument(
            f"the truth needs the columns {CLASS!r} and {' or '.join(map(repr, IDS))}; it has "
            f"{', '.join(map(repr, columns)) or 'none'}"
        )
    said = pc.not_equal(columns[CLASS], "")
    kept = {name: words.filter(said) for name, words in columns.items()}
    for name in IDS:
        if name in kept and (empty := pc.sum(pc.equal(kept[name], "")).as_py()):
            raise InvalidArgument(f"{empty:,} rows of the truth have a class and no {name}")
    return TruthTable(
        ids={name: kept[name] for name in IDS if name in kept},
        classes=kept[CLASS],
        parts={name: kept[name] for name in PARTS if name in kept},
    )


def columns_of(data: bytes) -> Columns:
    """All columns as words without space around them."""
    try:
        # Nothing is guessed: a class may be called NA, and an id may begin with zeros.
        names = csv.read_csv(io.BytesIO(data.partition(b"\n")[0] + b"\n")).column_names
        text = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
        table = csv.read_csv(io.BytesIO(data), convert_options=text)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise InvalidArgument(f"the truth is no CSV: {' '.join(str(error).split())}") from error
    found = {
        name.strip(): pc.utf8_trim_whitespace(pa.concat_arrays(column.chunks or [pa.array([], pa.string())]))
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    if len(found) != table.num_columns:
        raise InvalidArgument("the truth names a column twice")
    return found


def without_flagged(truth: TruthTable) -> tuple[TruthTable, int]:
    """The truth without rows of cells that are flagged as badly segmented, whatever their class; how many these are."""
    if FLAG not in truth.parts:
        raise InvalidArgument(f"the truth does not say which cells are badly segmented: it has no {FLAG!r}")
    words = [word.lower() for word in truth.parts[FLAG].to_pylist()]
    if strange := [word for word in words if word not in _FLAGS]:
        raise InvalidArgument(f"{FLAG} is neither true nor false in {len(strange):,} rows, such as {strange[0]!r}")
    kept = pa.array([not _FLAGS[word] for word in words], pa.bool_())
    ids, parts = ({name: one.filter(kept) for name, one in of.items()} for of in (truth.ids, truth.parts))
    return TruthTable(ids, truth.classes.filter(kept), parts), len(kept) - kept.true_count


def join(truth: TruthTable, assigned: Assigned) -> tuple[Cells, Match]:
    """The cells that both speak of, by `cell_id` where both have it, else by `row`."""
    by = next((name for name in IDS if name in truth.ids and name in assigned.ids), None)
    if by is None:
        raise InvalidArgument(
            f"the truth has {' and '.join(truth.ids)}, the assignments have {' and '.join(assigned.ids) or 'neither'}: "
            "they need a column in common"
        )
    wanted, known = (_comparable(by, whose, ids[by]) for whose, ids in _sides(truth, assigned))
    if len(twice := _more_than_once(known)):
        raise InvalidArgument(
            f"{len(twice):,} cells are assigned more than once, the first of them is {by} {twice[0].as_py()}"
        )
    place = pc.index_in(wanted, value_set=known)
    found = np.asarray(place.is_valid())
    rows = place.drop_null().to_numpy().astype(np.int64)
    cells = _cells(truth, assigned, found, rows)
    ids = pc.unique(wanted)
    match = Match(
        truth_count=len(ids),
        matched_count=len(np.unique(rows)),
        by=by,
        missing=_named(known.filter(pc.invert(pc.is_in(known, value_set=ids)))),
        foreign=_named(pc.unique(wanted.filter(pa.array(~found)))),
        doubled=_named(_more_than_once(wanted)),
    )
    return cells, match


def rows_of(cells: Cells) -> Ints:
    """The rows of the assignments that cells of `join` come from."""
    if cells.cell is None:
        raise ValueError("these cells were not joined")
    return cells.cell


def clusters_in(other: Assigned, assigned: Assigned, rows: Ints) -> tuple[Ints, Flags]:
    """The clusters that cells in these rows of the assignments have in other ones, and whether they are there."""
    by = next((name for name in IDS if name in other.ids and name in assigned.ids), None)
    if by is None:
        raise InvalidArgument("both assignments need cell_id, or both row")
    if not len(other.cluster):
        raise InvalidArgument("the other assignments have no rows")
    ours, theirs = _comparable(by, "assignments", assigned.ids[by]), _comparable(by, "other assignments", other.ids[by])
    if len(twice := _more_than_once(theirs)):
        raise InvalidArgument(f"the other assignments have {len(twice):,} cells more than once, such as {twice[0]}")
    place = pc.index_in(ours.take(pa.array(rows)), value_set=theirs)
    return other.cluster[pc.fill_null(place, 0).to_numpy()], np.asarray(place.is_valid())


def _sides(truth: TruthTable, assigned: Assigned) -> tuple[tuple[str, Columns], ...]:
    return ("truth", truth.ids), ("assignments", assigned.ids)


def _comparable(by: str, whose: str, ids: pa.Array) -> pa.Array:
    """Ids as they compare: rows are numbers however they are written, and UUIDs have no case."""
    if pa.types.is_integer(ids.type):
        return ids
    if by != "row":
        return pc.if_else(pc.match_substring_regex(ids, _UUID), pc.utf8_lower(ids), ids)
    whole = pc.match_substring_regex(ids, _WHOLE)
    if len(wrong := ids.filter(pc.invert(whole))):
        raise InvalidArgument(f"{len(wrong):,} rows of the {whose} have no whole number, such as {wrong[0].as_py()!r}")
    return ids.cast(pa.int64())


def _more_than_once(ids: pa.Array) -> pa.Array:
    counts = pc.value_counts(ids)
    return counts.field("values").filter(pc.greater(counts.field("counts"), 1))


def _cells(truth: TruthTable, assigned: Assigned, found: Flags, place: Ints) -> Cells:
    kept = pa.array(found)
    parts = {name: Part.of(words.filter(kept)) for name, words in truth.parts.items()}
    return Cells(
        truth=Part.of(truth.classes.filter(kept)),
        cluster=assigned.cluster[place],
        noise=assigned.noise,
        confidence=None if assigned.confidence is None else assigned.confidence[place],
        cell=place,
        slide=parts.get("slide"),
        tile=parts.get("tile"),
        batch=parts.get("batch"),
        tissue=parts.get("tissue"),
        species=parts.get("species"),
        annotator=parts.get("annotator"),
    )


def _named(ids: pa.Array) -> Named:
    return Named(len(ids), tuple(str(one) for one in ids[:NAMED].to_pylist()))
