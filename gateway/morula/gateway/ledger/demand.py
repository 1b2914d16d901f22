"""How much each service could do now: what autoscalers look at, also while a service has no pod at all."""

from sqlalchemy import Connection, column, select, table, text

# Made by a migration, because autoscalers read it too: SELECT runnable FROM morula_runnable WHERE service = 'segmenter'
runnable = table("morula_runnable", column("service"), column("runnable"))

# By the database's clock, which the view compares it with.
CLOCKS = {"postgresql": "extract(epoch FROM now())", "sqlite": "unixepoch()"}
NOTE = """
    INSERT INTO wanted_service (service, asked_at) VALUES (:service, {clock})
    ON CONFLICT (service) DO UPDATE SET asked_at = excluded.asked_at
"""


def note(tx: Connection, service: str) -> None:
    """Note that a call found the service away. The view counts it for a minute, so that a pod is started."""
    tx.execute(text(NOTE.format(clock=CLOCKS[tx.dialect.name])), {"service": service})


def runnable_counts(tx: Connection) -> dict[str, int]:
    """Units by service that could be worked on now, and one more where somebody waits for the service.

    A unit counts if all that it needs is there and its job runs: not one that nobody asked a service for yet, nor one
    of a job that ended.
    """
    return {str(row.service): int(row.runnable) for row in tx.execute(select(runnable))}
