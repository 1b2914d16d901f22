"""Records of the database as plain dictionaries, by column name; long lists part by part."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from morula.common.errors import InvalidArgument, NotFound

Record = dict[str, Any]


class Slice(NamedTuple):
    """Which part of a list is wanted: so many rows after the one with this mark."""

    limit: int
    after: str | None = None


class Part(NamedTuple):
    """A part of a list, and the mark after which the next begins; None at the end."""

    rows: list[Record]
    following: str | None


def first(tx: Connection, query: Select[Any]) -> Record | None:
    """The one row of the answer, if it has one."""
    row = tx.execute(query).mappings().one_or_none()
    return None if row is None else {str(name): value for name, value in row.items()}


def by_id(tx: Connection, table: Table, row_id: str, *, lock: bool = False) -> Record:
    """The row of the table with this id; with a lock, nobody else changes it until the transaction ends."""
    query = select(table).where(table.c.id == row_id)
    row = first(tx, query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"There is no {table.name.replace('_', ' ')} with this id.", **{f"{table.name}_id": row_id})
    return row


def every(tx: Connection, query: Select[Any]) -> list[Record]:
    """All rows of the answer."""
    return [{str(name): value for name, value in row.items()} for row in tx.execute(query).mappings()]


def part_of(
    tx: Connection, query: Select[Any], mark: ColumnElement[Any], wanted: Slice, *, newest_first: bool = False
) -> Part:
    """A part of the answer in the order of a unique column, so that what comes or goes meanwhile shifts nothing."""
    if wanted.after is not None:
        after = _typed(mark, wanted.after)
        query = query.where(mark < after if newest_first else mark > after)
    records = every(tx, query.order_by(mark.desc() if newest_first else mark).limit(wanted.limit + 1))
    rows = records[: wanted.limit]
    return Part(rows, str(rows[-1][str(mark.key)]) if len(records) > wanted.limit else None)


def _typed(mark: ColumnElement[Any], text: str) -> str | int:
    if mark.type.python_type is str:
        return text
    if not (text.isdecimal() and len(text) < 10):
        raise InvalidArgument("This cursor belongs to another list.")
    return int(text)


def insert_if_absent(tx: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Add a row unless it, or one that excludes it, is there; True where it is new, also if many try at once."""
    insert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    statement = insert(table).values(**values).on_conflict_do_nothing().returning(*table.primary_key.columns)
    return tx.execute(statement).first() is not None
