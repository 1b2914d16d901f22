"""API keys as texts: 256 random bits, of which only the digest is kept."""

import hashlib
import secrets

from sqlalchemy import Connection

from morula.common.errors import AlreadyExists, InvalidArgument
from morula.common.redaction import API_KEY
from morula.common.telemetry import log
from morula.gateway.ledger import api_keys
from morula.gateway.ledger.ids import now
from morula.gateway.ledger.records import by_id
from morula.gateway.ledger.tables import project
from morula.gateway.scopes import SCOPES

BEGINNING = "morula_"
SHOWN_LENGTH = len(BEGINNING) + 6
FIRST_NAME = "first"
DAY_S = 24 * 3600.0


def new_key() -> str:
    """A key that nobody has."""
    return BEGINNING + secrets.token_urlsafe(32)


def digest_of(key: str) -> str:
    """What is kept of a key, and what it is found by: so no time that a comparison takes tells anything of a key."""
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()


def prefix_of(key: str) -> str:
    """What people recognise it by."""
    return key[:SHOWN_LENGTH]


def days_from_now(days: float | None) -> float | None:
    """When a key expires; None for never."""
    return None if days is None else now() + days * DAY_S


def keep_first_key(tx: Connection, project_id: str, key: str) -> None:
    """Let in a key that a secret of the installation brings, with all scopes. A revoked one stays revoked."""
    if not API_KEY.fullmatch(key):
        raise InvalidArgument(f"MORULA_FIRST_KEY is no key: it is {BEGINNING} and 43 letters, digits, - or _ after it.")
    # Gateways that start at once do it one after the other.
    by_id(tx, project, project_id, lock=True)
    if api_keys.find_key(tx, digest_of(key)) is not None:
        return
    try:
        api_keys.create_key(tx, project_id, FIRST_NAME, digest_of(key), prefix_of(key), SCOPES)
    except AlreadyExists as error:  # Two keys let people in: no reason to be away.
        log.warning("MORULA_FIRST_KEY lets nobody in", prefix=prefix_of(key), why=str(error))
