"""What docs/columns.md says of every table, and what really lies in the store: both as names with their types."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from morula.common.arrays import read_array

Columns = dict[str, str]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "columns.md"
_HEADING = re.compile(r"^#+ (.+)$")
_ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \|")
_WORDS = {"double": "float64", "float": "float32"}


def described_columns() -> dict[str, Columns]:
    """Columns of each section of the page that has a table, by the section's heading."""
    sections: dict[str, Columns] = {}
    heading = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if found := _HEADING.match(line):
            heading = found[1].replace("`", "")
        elif found := _ROW.match(line):
            assert found[1] not in sections.setdefault(heading, {}), f"{heading} describes {found[1]} twice"
            sections[heading][found[1]] = found[2].strip()
    return sections


def of_parquet(content: bytes) -> Columns:
    """Columns of a Parquet file."""
    return of_schema(pq.read_schema(pa.BufferReader(content)))


def of_arrow(content: bytes) -> Columns:
    """Columns of an Arrow file."""
    return of_schema(pa.ipc.open_file(pa.BufferReader(content)).schema)


def of_array(content: bytes) -> Columns:
    """An array's shape in words and its type."""
    array = read_array(content)
    return {"row" if array.ndim == 1 else "row, column": str(array.dtype)}


def of_json(content: bytes, known: Columns) -> Columns:
    """Every name in a JSON document, as `outer.inner` or `list[].inner`; of what is known as an object, no more."""
    found: Columns = {}
    _walk(json.loads(content), "", known, found)
    return found


def _walk(value: Any, path: str, known: Columns, found: Columns) -> None:
    if isinstance(value, dict) and known.get(path) != "object":
        for name, inner in value.items():
            _walk(inner, f"{path}.{name}" if path else name, known, found)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for inner in value:
            _walk(inner, f"{path}[]", known, found)
    elif path:
        # What is null here has the type that the page gives it.
        found[path] = known.get(path, "?") if value is None or value == [] else _json_type(value)


def _json_type(value: Any) -> str:
    if isinstance(value, list):
        return f"list of {_json_type(value[0])}"
    return {bool: "bool", int: "number", float: "number", str: "string", dict: "object"}[type(value)]


def of_schema(schema: pa.Schema) -> Columns:
    """Columns of a schema."""
    return {field.name: _word(field.type) for field in schema}


def _word(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind):
        return _word(kind.value_type)
    if pa.types.is_list(kind):
        return f"list of {_word(kind.value_type)}"
    if pa.types.is_fixed_size_binary(kind):
        return f"{kind.byte_width} bytes"
    return _WORDS.get(str(kind), str(kind))


def of_bytes(content: bytes) -> Columns:
    """A layer without a header: one byte for each row."""
    assert content
    return {"row": "uint8"}
