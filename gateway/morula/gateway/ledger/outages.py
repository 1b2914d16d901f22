"""What errors of a database mean: which pass by themselves, so that the transaction can be run again, and which come of
a row that was deleted meanwhile."""

import sqlite3

import psycopg
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

# The file is locked, read-only, missing, or on a full or failing disk: all this may change while one waits.
SQLITE_PASSING = frozenset(
    (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    )
)
# The lowest byte of an SQLite error is its kind; those above it say more.
SQLITE_KIND = 0xFF

# Connection lost, out of memory, disk or connections, server stops or starts, its disk fails.
POSTGRES_PASSING_CLASSES = ("08", "53", "57P", "58")
POSTGRES_PASSING = frozenset(
    (
        "25006",  # read-only: a standby, or a server that somebody set so
        "25P03",  # the transaction was idle for too long, because its process was frozen
        "40001",  # serialization failure
        "40P01",  # deadlock
        "55P03",  # a lock could not be had in time
    )
)


def passes(error: BaseException) -> bool:
    """Whether the database is away for a while; False if the statement itself is wrong."""
    if isinstance(error, PoolTimeoutError):
        return True
    # SQLAlchemy does not wrap errors that the driver raises while a connection is prepared.
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        # Errors without a code are raised by the Python module and come of wrong use.
        code = getattr(cause, "sqlite_errorcode", None)
        return code is not None and code & SQLITE_KIND in SQLITE_PASSING
    if isinstance(cause, psycopg.Error):
        state = cause.sqlstate
        if state is None:
            # Without a state the connection could not be made or broke. If it is intact, psycopg refused the statement.
            is_connected = (
                isinstance(error, DBAPIError) and error.statement is not None and not error.connection_invalidated
            )
            return isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError) and not is_connected
        return state in POSTGRES_PASSING or state.startswith(POSTGRES_PASSING_CLASSES)
    return False


def tells_of_deletion(error: BaseException) -> bool:
    """Whether a row could not be written because the row that it refers to was deleted."""
    if not isinstance(error, IntegrityError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        return error.orig.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY
    return isinstance(error.orig, psycopg.errors.ForeignKeyViolation)
