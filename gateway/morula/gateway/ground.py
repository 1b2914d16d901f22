"""Whose a store is. Objects are deleted only while one database uses it: another's rows are not seen here.

Every database leaves its mark in the store that it uses. A copy of a database has the same mark: it stands for it.
"""

from sqlalchemy import Connection, select

from morula.common.arrays import write_json
from morula.common.keys import digest
from morula.common.store import Store
from morula.gateway.ledger.tables import project

MARKS = "databases"


def mark_of(tx: Connection, project_id: str) -> str:
    """Key of this database's mark: the moment at which it was laid is its own."""
    laid_at: float = tx.execute(select(project.c.created_at).where(project.c.id == project_id)).scalar_one()
    return f"{MARKS}/{project_id}/{digest(repr(laid_at))[:16]}.json"


def leave_mark(store: Store, mark: str) -> None:
    """Say that this database uses the store."""
    store.put(mark, write_json({"about": "A database of Morula uses this store."}))


def others(store: Store, mark: str) -> list[str]:
    """Marks of other databases of the same project."""
    return sorted(seen.key for seen in store.survey(f"{mark.rpartition('/')[0]}/") if seen.key != mark)
