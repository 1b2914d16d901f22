"""API keys: two of one name may be alive, so that a new one is in use before the old one goes."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, and_, func, insert, or_, select, update

from morula.common.errors import AlreadyExists
from morula.gateway.ledger.ids import new_id, now
from morula.gateway.ledger.records import Part, Record, Slice, by_id, first, part_of
from morula.gateway.ledger.tables import api_key, project

LIVE_LIMIT = 2
USE_NOTED_S = 60.0
"""So long a use of a key is not written down again."""


def create_key(
    tx: Connection,
    project_id: str,
    name: str,
    digest: str,
    prefix: str,
    scopes: Collection[str],
    expires_at: float | None = None,
) -> Record:
    """Add a key, unless two live ones have its name."""
    by_id(tx, project, project_id, lock=True)
    named = select(func.count()).where(api_key.c.project_id == project_id, api_key.c.name == name, _is_live())
    if tx.execute(named).scalar_one() >= LIVE_LIMIT:
        raise AlreadyExists(f"There are two live keys of the name {name!r}: revoke one of them first.")
    key_id = new_id()
    row = {
        "id": key_id,
        "project_id": project_id,
        "name": name,
        "digest": digest,
        "prefix": prefix,
        "scopes": sorted(scopes),
        "created_at": now(),
        "expires_at": expires_at,
    }
    tx.execute(insert(api_key).values(row))
    return by_id(tx, api_key, key_id)


def find_key(tx: Connection, digest: str) -> Record | None:
    """The key with this digest, alive or not."""
    return first(tx, select(api_key).where(api_key.c.digest == digest))


def list_keys(tx: Connection, project_id: str, wanted: Slice) -> Part:
    """All keys of a project, newest first, those that are revoked among them."""
    query = select(api_key).where(api_key.c.project_id == project_id)
    return part_of(tx, query, api_key.c.id, wanted, newest_first=True)


def has_live_key(tx: Connection) -> bool:
    """Whether anybody can be let in."""
    return tx.execute(select(api_key.c.id).where(_is_live()).limit(1)).first() is not None


def revoke_key(tx: Connection, key_id: str) -> Record:
    """Let nobody in with this key from now on. Once more changes nothing."""
    by_id(tx, api_key, key_id)
    tx.execute(update(api_key).where(api_key.c.id == key_id, api_key.c.revoked_at.is_(None)).values(revoked_at=now()))
    return by_id(tx, api_key, key_id)


def note_use(tx: Connection, key_id: str) -> None:
    """Write down that a key was used now."""
    tx.execute(update(api_key).where(api_key.c.id == key_id).values(last_used_at=now()))


def is_use_noted(row: Record) -> bool:
    """Whether a use of this key was written down a moment ago."""
    return row["last_used_at"] is not None and now() - row["last_used_at"] < USE_NOTED_S


def _is_live() -> ColumnElement[bool]:
    return and_(api_key.c.revoked_at.is_(None), or_(api_key.c.expires_at.is_(None), api_key.c.expires_at > now()))
