"""Brings a database to the schema of this version, and lays what a new one needs."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, insert, inspect, select, text

from morula.gateway.ledger.engine import LAYING_TIMEOUT_S, open_engine
from morula.gateway.ledger.ids import now
from morula.gateway.ledger.label_sets import DEFAULT_CLASSES, create_label_set
from morula.gateway.ledger.tables import counter, metadata, project

# Any number that nothing else in the database locks.
MIGRATION_LOCK = 7_265_781

# Not drawn: it begins every key, and a database that is lost can then be made anew over the artifacts that are there.
FIRST_PROJECT = "default"


class OtherSchema(Exception):
    """The database was laid by a version of Morula that this one does not know; nothing in it was changed."""

    def __str__(self) -> str:
        return (
            "the database was laid by another version of Morula: start that one, "
            "or name another place (--data FOLDER here, MORULA_DATABASE_URL for a gateway of its own)"
        )


def migrate(url: str) -> None:
    """Run all migrations in one transaction; processes that start at once do it one after the other."""
    engine = open_engine(url, LAYING_TIMEOUT_S)
    try:
        with engine.connect().execution_options(writes=True) as connection, connection.begin():
            if connection.dialect.name == "postgresql":
                # Who comes second waits for all that the first one has to do, and a busy machine is slow to say what.
                connection.execute(text("SET LOCAL lock_timeout = 0"))
                connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
            _upgrade(connection)
            _lay_ground(connection)
    finally:
        engine.dispose()


def _upgrade(connection: Connection) -> None:
    try:
        command.upgrade(migrations(connection), "head")
    except CommandError as error:
        raise OtherSchema from error
    if not is_laid(connection):
        raise OtherSchema


def is_laid(connection: Connection) -> bool:
    """Whether the database has the schema of this version."""
    found = inspect(connection)
    return all(
        found.has_table(table.name)
        and {column["name"] for column in found.get_columns(table.name)} == set(table.columns.keys())
        for table in metadata.sorted_tables
    )


def migrations(connection: Connection) -> Config:
    """Alembic's view of our migrations, on this connection."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _lay_ground(tx: Connection) -> None:
    if tx.execute(select(project.c.id)).first() is not None:
        return
    tx.execute(insert(project).values(id=FIRST_PROJECT, name="default", created_at=now()))
    tx.execute(insert(counter).values(name="event", value=0))
    create_label_set(tx, FIRST_PROJECT, "Cells", [(name, None) for name in DEFAULT_CLASSES])


def default_project(tx: Connection) -> str:
    """The project that everything belongs to until there are others."""
    return str(tx.execute(select(project.c.id).order_by(project.c.id).limit(1)).scalar_one())
