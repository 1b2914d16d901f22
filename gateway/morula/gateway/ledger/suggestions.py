"""Suggestions for the clusters of a labelling: the newest one of each cluster counts."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from morula.gateway.ledger.events import announce
from morula.gateway.ledger.ids import now
from morula.gateway.ledger.records import Record, by_id, every
from morula.gateway.ledger.tables import labelling, suggestion


def put_suggestion(tx: Connection, labelling_id: str, node_id: int, values: Mapping[str, Any]) -> Record:
    """Keep a suggestion in place of the one before."""
    by_id(tx, labelling, labelling_id, lock=True)
    tx.execute(delete(suggestion).where(suggestion.c.labelling_id == labelling_id, suggestion.c.node_id == node_id))
    row = {"labelling_id": labelling_id, "node_id": node_id, "created_at": now(), **values}
    tx.execute(insert(suggestion).values(row))
    announce(tx, "labelling", labelling_id)
    return row


def list_suggestions(tx: Connection, labelling_id: str) -> list[Record]:
    """All of a labelling, by cluster."""
    by_id(tx, labelling, labelling_id)
    query = select(suggestion).where(suggestion.c.labelling_id == labelling_id)
    return every(tx, query.order_by(suggestion.c.node_id))


def delete_suggestions(tx: Connection, labelling_id: str) -> None:
    """Forget what was suggested."""
    by_id(tx, labelling, labelling_id, lock=True)
    tx.execute(delete(suggestion).where(suggestion.c.labelling_id == labelling_id))
    announce(tx, "labelling", labelling_id)
