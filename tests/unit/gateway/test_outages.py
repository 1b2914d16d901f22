"""An error of the database is waited out where it passes by itself, and only there."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.outages import passes


@pytest.mark.parametrize(
    ("statement", "passing"),
    [
        ("CREATE TABLE other (a)", True),
        ("INSERT INTO kept VALUES (2, zeroblob(10000000))", True),
        ("INSERT INTO kept VALUES (1, '')", False),
        ("INSERT INTO nowhere VALUES (1)", False),
    ],
    ids=["locked", "full", "there already", "no such table"],
)
def test_what_sqlite_says(statement: str, passing: bool, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = tmp_path / "file.sqlite"
    ledger = Ledger(f"sqlite:///{path}")
    with ledger.writing() as tx:
        tx.execute(text("CREATE TABLE kept (a INTEGER PRIMARY KEY, b)"))
        tx.execute(text("INSERT INTO kept VALUES (1, '')"))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        if "locked" in request.node.callspec.id:
            other.execute("BEGIN IMMEDIATE")
        with ledger.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 100")
            with pytest.raises(DBAPIError) as raised:
                connection.exec_driver_sql(statement)
    ledger.close()
    assert passes(raised.value) is passing


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (psycopg.errors.AdminShutdown(), True),
        (psycopg.errors.CannotConnectNow(), True),
        (psycopg.errors.DiskFull(), True),
        (psycopg.errors.DeadlockDetected(), True),
        (psycopg.errors.SerializationFailure(), True),
        (psycopg.errors.LockNotAvailable(), True),
        (psycopg.errors.ReadOnlySqlTransaction(), True),
        (psycopg.errors.IdleInTransactionSessionTimeout(), True),
        (psycopg.errors.UniqueViolation(), False),
        (psycopg.errors.UndefinedTable(), False),
        (psycopg.errors.QueryCanceled(), False),
        (psycopg.DataError("text cannot contain NUL"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_postgresql_says(error: psycopg.Error, passing: bool) -> None:
    kind = IntegrityError if isinstance(error, psycopg.IntegrityError) else OperationalError
    assert passes(kind("SELECT 1", {}, error)) is passing
    assert not passes(ValueError("something else"))


@pytest.mark.parametrize(
    ("statement", "broken", "passing"), [(None, False, True), ("SELECT 1", True, True), ("SELECT 1", False, False)]
)
def test_what_comes_of_no_server(statement: str | None, broken: bool, passing: bool) -> None:
    """Not reached, lost meanwhile, or too long a statement: the driver calls all three by one name."""
    error = psycopg.OperationalError("sending query and params failed")
    assert passes(OperationalError(statement, {}, error, connection_invalidated=broken)) is passing
    assert passes(error), "while a connection is prepared"
