"""Rows as plain dictionaries, by column name."""

from typing import Any

from sqlalchemy import Connection, Select, Table, select

from morula.common.errors import NotFound

Row = dict[str, Any]


def first(tx: Connection, query: Select[Any]) -> Row | None:
    """The one row of the answer, if it has one."""
    row = tx.execute(query).mappings().one_or_none()
    return None if row is None else {str(name): value for name, value in row.items()}


def by_id(tx: Connection, table: Table, row_id: str) -> Row:
    """The row of the table with this id."""
    row = first(tx, select(table).where(table.c.id == row_id))
    if row is None:
        raise NotFound(f"There is no {table.name.replace('_', ' ')} with this id.", **{f"{table.name}_id": row_id})
    return row


def every(tx: Connection, query: Select[Any]) -> list[Row]:
    """All rows of the answer."""
    return [{str(name): value for name, value in row.items()} for row in tx.execute(query).mappings()]
