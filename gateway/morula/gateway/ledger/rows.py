"""Rows as plain dictionaries, by column name."""

from typing import Any

from sqlalchemy import Connection, Select

Row = dict[str, Any]


def first(tx: Connection, query: Select[Any]) -> Row | None:
    """The one row of the answer, if it has one."""
    row = tx.execute(query).mappings().one_or_none()
    return None if row is None else {str(name): value for name, value in row.items()}


def every(tx: Connection, query: Select[Any]) -> list[Row]:
    """All rows of the answer."""
    return [{str(name): value for name, value in row.items()} for row in tx.execute(query).mappings()]
