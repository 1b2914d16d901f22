"""Runs migrations on the connection that `morula.gateway.ledger.migrate` opened."""

from alembic import context

from morula.gateway.ledger.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
