"""The database behind one small interface: SQLite in WAL mode or PostgreSQL, the same statements on both."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url

P = ParamSpec("P")
T = TypeVar("T")

BUSY_TIMEOUT_S = 30
THREAD_COUNT = 4


class Ledger:
    """Runs queries, each a function of a connection, in transactions on threads of its own."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.engine = open_engine(url)
        self._threads = ThreadPoolExecutor(THREAD_COUNT, thread_name_prefix="ledger")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that writes nothing."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that takes SQLite's write lock at its start, so that it cannot fail half-way to get it."""
        with self.engine.connect().execution_options(writes=True) as connection, connection.begin():
            yield connection

    async def read(self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a query that reads."""
        return await self._run(self.reading, lambda connection: query(connection, *args, **kwargs))

    async def write(self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a query that writes; all of it or nothing."""
        return await self._run(self.writing, lambda connection: query(connection, *args, **kwargs))

    async def _run(
        self, transaction: Callable[[], AbstractContextManager[Connection]], work: Callable[[Connection], T]
    ) -> T:
        def run() -> T:
            with transaction() as connection:
                return work(connection)

        return await asyncio.get_running_loop().run_in_executor(self._threads, run)

    def close(self) -> None:
        """Wait for running queries and close all connections."""
        self._threads.shutdown(wait=True)
        self.engine.dispose()


def open_engine(url: str) -> Engine:
    """An engine that behaves alike on both databases: writers wait for each other, none fails for being second."""
    engine = create_engine(url, pool_size=THREAD_COUNT + 2, pool_pre_ping=True, hide_parameters=True)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver's own BEGIN comes too late for schema changes and reads; `_begin_sqlite` says it instead.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}")
    enter_wal(connection)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def enter_wal(connection: sqlite3.Connection) -> None:
    """Put the file into WAL mode. Who enters a new file beside another is refused, where all else waits: ask again."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN DEFERRED")
