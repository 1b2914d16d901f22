"""Brings a database to the schema of this version, and gives a new one its first project, counter and label set."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, insert, inspect, select, text

from morula.gateway.ledger.engine import MIGRATION_BUSY_TIMEOUT_S, open_engine
from morula.gateway.ledger.ids import now
from morula.gateway.ledger.label_sets import DEFAULT_CLASSES, create_label_set
from morula.gateway.ledger.tables import counter, metadata, project

# The number is arbitrary; no other advisory lock in the database may have it.
MIGRATION_LOCK = 7_265_781

# A fixed id and not a random one: every key begins with it, so a new database finds the artifacts of a lost one.
FIRST_PROJECT = "default"


class OtherSchema(Exception):
    """The database was made by a version of Morula that this one does not know; nothing in it was changed."""

    def __str__(self) -> str:
        return (
            "the database was made by another version of Morula: start that one, "
            "or name another place (--data FOLDER here, MORULA_DATABASE_URL for a gateway of its own)"
        )


def migrate(url: str) -> None:
    """Run all migrations in one transaction; processes that start at once do it one after the other."""
    engine = open_engine(url, MIGRATION_BUSY_TIMEOUT_S)
    try:
        with engine.connect().execution_options(writes=True) as connection, connection.begin():
            if connection.dialect.name == "postgresql":
                # A second process waits until the first has run all migrations, which takes long on a busy machine.
                connection.execute(text("SET LOCAL lock_timeout = 0"))
                connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
            _upgrade(connection)
            _fill_new_database(connection)
    finally:
        engine.dispose()


def _upgrade(connection: Connection) -> None:
    try:
        command.upgrade(migrations(connection), "head")
    except CommandError as error:
        raise OtherSchema from error
    if not has_current_schema(connection):
        raise OtherSchema


def has_current_schema(connection: Connection) -> bool:
    """Whether the database has the schema of this version."""
    inspector = inspect(connection)
    return all(
        inspector.has_table(table.name)
        and {column["name"] for column in inspector.get_columns(table.name)} == set(table.columns.keys())
        for table in metadata.sorted_tables
    )


def migrations(connection: Connection) -> Config:
    """Alembic's view of our migrations, on this connection."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _fill_new_database(tx: Connection) -> None:
    if tx.execute(select(project.c.id)).first() is not None:
        return
    tx.execute(insert(project).values(id=FIRST_PROJECT, name="default", created_at=now()))
    tx.execute(insert(counter).values(name="event", value=0))
    create_label_set(tx, FIRST_PROJECT, "Cells", [(name, None) for name in DEFAULT_CLASSES])


def default_project(tx: Connection) -> str:
    """The project that everything belongs to until there are others."""
    return str(tx.execute(select(project.c.id).order_by(project.c.id).limit(1)).scalar_one())
