"""Truths: what somebody said of cells, kept once for equal bytes."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select

from morula.gateway.ledger import objects
from morula.gateway.ledger.events import announce
from morula.gateway.ledger.ids import new_id, now
from morula.gateway.ledger.records import Part, Record, Slice, by_id, first, part_of
from morula.gateway.ledger.tables import truth


def create_truth(tx: Connection, values: Mapping[str, Any], upload_id: str) -> Record:
    """Add a truth; the object of its upload is kept for it from now on."""
    truth_id = new_id()
    tx.execute(insert(truth).values(id=truth_id, created_at=now(), **values))
    objects.hand_over(tx, upload_id, "truth", truth_id)
    announce(tx, "truth", truth_id)
    return get_truth(tx, truth_id)


def get_truth(tx: Connection, truth_id: str, *, lock: bool = False) -> Record:
    """The truth with this id."""
    return by_id(tx, truth, truth_id, lock=lock)


def find_truth(tx: Connection, project_id: str, sha256: str) -> Record | None:
    """The truth of these bytes, if it is here."""
    return first(tx, select(truth).where(truth.c.project_id == project_id, truth.c.sha256 == sha256))


def list_truths(tx: Connection, project_id: str, wanted: Slice) -> Part:
    """Truths of a project, newest first."""
    query = select(truth).where(truth.c.project_id == project_id)
    return part_of(tx, query, truth.c.id, wanted, newest_first=True)
