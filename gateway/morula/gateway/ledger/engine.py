"""The database behind one small interface: SQLite in WAL mode or PostgreSQL, the same statements on both.

A database is sometimes away: it is restarted, locked by another program, or its disk is full. A transaction is all or
nothing, so it is run again until the database is back or the caller's patience ends: a request waits some seconds, the
pipeline waits for ever. A query that raises Busy is run again in the same way.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from morula.common.errors import Busy, Conflict, Unavailable
from morula.common.telemetry import log
from morula.gateway.ledger.outages import passes, tells_of_deletion

P = ParamSpec("P")
T = TypeVar("T")

THREAD_COUNT = 4
PATIENCE_S = 5.0
"""How long a person waits for the database."""
PAUSES_S = (0.05, 0.1, 0.2, 0.5, 1.0)
# SQLite waits on a thread, so its wait is short and `Waiting` does the long one. Migrations run without `Waiting`.
BUSY_TIMEOUT_S = 0.5
MIGRATION_BUSY_TIMEOUT_S = 30.0

# A frozen process must not hold a lock that others wait for; a dead connection must not hold a thread.
POSTGRES_OPTIONS = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,
    "options": "-c lock_timeout=5s -c idle_in_transaction_session_timeout=10s",
}


class Transactions(Protocol):
    """Runs queries, each a function of a connection, in transactions."""

    async def read(self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a query that reads."""

    async def write(self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a query that writes; all of it or nothing."""


class Waiting:
    """Transactions on threads of its own, run again while the database is away: for `patience_s`, None for ever."""

    def __init__(self, engine: Engine, patience_s: float | None, name: str) -> None:
        self._engine = engine
        self._patience_s = patience_s
        self._threads = ThreadPoolExecutor(THREAD_COUNT, thread_name_prefix=name)

    async def read(self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a query that reads."""
        return await self._again(lambda: _run(self._engine, lambda tx: query(tx, *args, **kwargs), writes=False))

    async def write(self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a query that writes, all of it or nothing. If the connection breaks at the commit, PostgreSQL is asked
        afterwards whether the commit took place, so that nothing is written twice."""
        try:
            return await self._again(lambda: _run(self._engine, lambda tx: query(tx, *args, **kwargs), writes=True))
        except CommitUnknown as unknown:
            number, result = unknown.number, unknown.result
        if await self._again(lambda: _was_committed(self._engine, number)):
            return result  # type: ignore[no-any-return]
        return await self.write(query, *args, **kwargs)

    async def _again(self, work: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        started, failures = time.monotonic(), 0
        while True:
            try:
                done = await loop.run_in_executor(self._threads, work)
            except Exception as error:
                if tells_of_deletion(error):
                    raise Conflict("Something that this needs was deleted meanwhile.") from error
                if not passes(error) and not isinstance(error, _Undecided | Busy):
                    raise
                waited_s = time.monotonic() - started
                if self._patience_s is not None and waited_s >= self._patience_s:
                    if isinstance(error, Busy):
                        raise
                    raise Unavailable("The database does not answer; try again soon.") from error
                pause_s = PAUSES_S[min(failures, len(PAUSES_S) - 1)]
                failures += 1
                if pause_s == PAUSES_S[-1]:
                    what = "transaction has to wait" if isinstance(error, Busy) else "database away"
                    log.warning(what, detail=_cause(error), waited_s=round(waited_s, 1))
                await asyncio.sleep(pause_s)
            else:
                return done

    def close(self) -> None:
        """Wait for running queries."""
        self._threads.shutdown(wait=True)


class Ledger:
    """The database for requests, which wait some seconds while it is away; `patient` waits as long as it takes."""

    def __init__(self, url: str, patience_s: float = PATIENCE_S) -> None:
        self.url = make_url(url)
        self.engine = open_engine(url)
        self.patient = Waiting(self.engine, None, "ledger-patient")
        self._requests = Waiting(self.engine, patience_s, "ledger")
        self.read = self._requests.read
        self.write = self._requests.write

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

    def close(self) -> None:
        """Wait for running queries and close all connections."""
        self.patient.close()
        self._requests.close()
        self.engine.dispose()


@dataclass
class CommitUnknown(Exception):
    """The connection broke during a commit: only PostgreSQL knows whether transaction `number` was committed."""

    number: int
    result: Any


def _run(engine: Engine, work: Callable[[Connection], T], *, writes: bool) -> T:
    with engine.connect().execution_options(writes=writes) as connection:
        transaction = connection.begin()
        try:
            result = work(connection)
            number = _number(connection) if writes else None
        except BaseException:
            transaction.rollback()
            raise
        try:
            transaction.commit()
        except DBAPIError as error:
            if number is not None and passes(error):
                raise CommitUnknown(number, result) from error
            raise
        return result


def _number(connection: Connection) -> int | None:
    """PostgreSQL's number of this transaction; None for SQLite, where a commit always says whether it succeeded."""
    if connection.dialect.name != "postgresql":
        return None
    number: int | None = connection.execute(text("SELECT txid_current_if_assigned()")).scalar_one()
    return number


class _Undecided(Exception):
    """PostgreSQL has not noticed yet that the connection is gone: the transaction still counts as running."""


def _was_committed(engine: Engine, number: int) -> bool:
    with engine.connect() as connection, connection.begin():
        status: str | None = connection.execute(text("SELECT txid_status(:number)"), {"number": number}).scalar_one()
    if status == "in progress":
        raise _Undecided
    return status == "committed"


def _cause(error: BaseException) -> str:
    """The driver's message in one line, without the SQL statement."""
    return " ".join(str(getattr(error, "orig", None) or error).split())[:200]


def open_engine(url: str, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Engine:
    """An engine that behaves alike on both databases: writers wait for each other, and none fails because it waited."""
    is_sqlite = make_url(url).get_backend_name() == "sqlite"
    engine = create_engine(
        url,
        pool_size=2 * THREAD_COUNT + 2,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={} if is_sqlite else POSTGRES_OPTIONS,
    )
    if is_sqlite:
        event.listen(engine, "connect", lambda connection, _record: _prepare_sqlite(connection, busy_timeout_s))
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, busy_timeout_s: float) -> None:
    # The driver would begin a transaction too late for schema changes and reads; `_begin_sqlite` begins it instead.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {round(busy_timeout_s * 1000)}")
    enter_wal(connection, busy_timeout_s)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def enter_wal(connection: sqlite3.Connection, patience_s: float) -> None:
    """Put the file into WAL mode. While another process does so with a new file,
    SQLite refuses without waiting: so try again."""
    deadline = time.monotonic() + patience_s
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
