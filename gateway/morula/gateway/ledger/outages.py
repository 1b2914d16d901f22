"""What a database's errors mean: which pass by themselves, so that the whole transaction may be run again, and which
tell of something that was deleted meanwhile."""

import sqlite3

import psycopg
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

# Locked, read-only, on a full or failing disk, not there: whoever holds or mends the file may be done in a moment.
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

# Connection lost, too little of something (room, connections), stopped or starting, the disk beneath it fails.
POSTGRES_PASSING_CLASSES = ("08", "53", "57P", "58")
POSTGRES_PASSING = frozenset(
    (
        "25006",  # read-only: a standby, or a server that somebody set so
        "25P03",  # this transaction was idle for too long: its process was frozen
        "40001",  # serialization failure
        "40P01",  # deadlock
        "55P03",  # a lock was not to be had
    )
)


def passes(error: BaseException) -> bool:
    """Whether the error tells of a database that is away for a while, not of a statement that makes no sense."""
    if isinstance(error, PoolTimeoutError):
        return True
    # What happens while a connection is prepared comes as the driver raised it.
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        # Errors of the module itself have no code, and come of misuse.
        code = getattr(cause, "sqlite_errorcode", None)
        return code is not None and code & SQLITE_KIND in SQLITE_PASSING
    if isinstance(cause, psycopg.Error):
        state = cause.sqlstate
        if state is None:
            # It never reached a server, or the connection broke; where that stands, the statement cannot be said.
            stands = isinstance(error, DBAPIError) and error.statement is not None and not error.connection_invalidated
            return isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError) and not stands
        return state in POSTGRES_PASSING or state.startswith(POSTGRES_PASSING_CLASSES)
    return False


def tells_of_deletion(error: BaseException) -> bool:
    """Whether a row was to be written for another that is gone."""
    if not isinstance(error, IntegrityError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        return error.orig.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY
    return isinstance(error.orig, psycopg.errors.ForeignKeyViolation)
