"""How much each service could do now: what autoscalers look at, also while a service has no pod at all."""

from sqlalchemy import Connection, column, insert, select, table, update

from morula.gateway.ledger.ids import now
from morula.gateway.ledger.tables import wanted_service

# Made by a migration, because autoscalers read it too: SELECT runnable FROM morula_runnable WHERE service = 'segmenter'
runnable = table("morula_runnable", column("service"), column("runnable"))


def note(tx: Connection, service: str) -> None:
    """Note that a call found the service away. The view counts it for a minute, so that a pod is started."""
    values = {"asked_at": now()}
    if tx.execute(update(wanted_service).where(wanted_service.c.service == service).values(**values)).rowcount == 0:
        tx.execute(insert(wanted_service).values(service=service, **values))


def runnable_counts(tx: Connection) -> dict[str, int]:
    """Units by service that could be worked on now, and one more where somebody waits for the service.

    A unit counts if all that it needs is there and its job runs: not one that nobody asked a service for yet, nor one
    of a job that ended.
    """
    return {str(row.service): int(row.runnable) for row in tx.execute(select(runnable))}
