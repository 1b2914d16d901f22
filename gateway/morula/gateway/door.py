"""The way in: the one place that turns what a request brings into who asks, and what they may do."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from starlette.requests import HTTPConnection

from morula.common.errors import PermissionDenied, Unauthenticated, Unavailable
from morula.common.telemetry import log
from morula.gateway.api_keys import digest_of
from morula.gateway.ledger import api_keys
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.ids import now
from morula.gateway.ledger.records import Record
from morula.gateway.scopes import Scope

COOKIE = "morula_key"
LOCAL = "local"
"""Who asks where no keys are asked for; as an annotator: who asks."""
LOOKING = ("GET", "HEAD", "OPTIONS")
_PLACE = "morula.identity"


@dataclass(frozen=True)
class Identity:
    """Who asks, and what they may do."""

    project: str
    name: str
    scopes: frozenset[Scope]
    is_known: bool = True
    """False where no keys are asked for: then people say themselves who they are."""

    def check(self, scope: Scope) -> None:
        """Raise PermissionDenied without this scope."""
        if scope not in self.scopes:
            raise PermissionDenied(f"This needs a key with the scope {scope!r}; that of {self.name!r} has it not.")

    def actor(self, said: str) -> str:
        """Under which name something is written down."""
        return self.name if self.is_known else said

    def annotator(self, asked: str) -> str:
        """Whose labels are meant."""
        return self.name if asked == LOCAL else asked


class Brought(NamedTuple):
    """The key that a request brings."""

    key: str
    is_cookie: bool


def brought(connection: HTTPConnection) -> Brought | None:
    """The key of the header, else of the cookie."""
    header = connection.headers.get("authorization")
    if header is not None:
        scheme, _, key = header.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated("The Authorization header has to be: Bearer, a space, and the key.")
        return Brought(key.strip(), is_cookie=False)
    cookie = connection.cookies.get(COOKIE)
    return None if cookie is None else Brought(cookie, is_cookie=True)


class Door:
    """Lets in whoever has a key."""

    def __init__(self, ledger: Ledger, *, asks: bool) -> None:
        self._ledger = ledger
        self.asks = asks
        self._noting: dict[str, asyncio.Task[None]] = {}

    async def identify(self, connection: HTTPConnection) -> Identity:
        """Who sent a request; Unauthenticated where that is not known."""
        came = brought(connection)
        if came is None:
            raise Unauthenticated("This server asks for a key: send it as the header Authorization: Bearer KEY.")
        # A page of another site cannot send this header, and cannot leave Origin out; the guard has compared it.
        if came.is_cookie and connection.scope["method"] not in LOOKING and "origin" not in connection.headers:
            raise PermissionDenied("Who is signed in with a browser changes things from this server's page only.")
        return await self.who_has(came.key, connection)

    async def who_has(self, key: str, connection: HTTPConnection) -> Identity:
        """Whose key this is; Unauthenticated where it lets nobody in."""
        row = await self._ledger.read(api_keys.find_key, digest_of(key))
        refusal = _refusal(row)
        if row is None or refusal is not None:
            client = connection.client.host if connection.client else ""
            log.warning("key refused", why=refusal, key=row["prefix"] if row else None, client=client)
            raise Unauthenticated(refusal or "")
        if not api_keys.is_use_noted(row) and row["id"] not in self._noting:
            self._noting[row["id"]] = asyncio.create_task(self._note_use(row["id"]))
        return Identity(row["project_id"], row["name"], frozenset(row["scopes"]))

    async def still_lets_in(self, connection: HTTPConnection) -> bool:
        """Whether the key of a request that goes on for long is still good."""
        try:
            if self.asks:
                await self.identify(connection)
        except Unauthenticated:
            return False
        except Unavailable:
            log.info("nobody knows whether a key is still good: what it listens to goes on")
        return True

    async def close(self) -> None:
        """Wait until all uses are noted."""
        await asyncio.gather(*self._noting.values())

    async def _note_use(self, key_id: str) -> None:
        """Beside the request: who only looks is let in also where the database takes no writes."""
        try:
            await self._ledger.write(api_keys.note_use, key_id)
        except Exception as error:  # noqa: BLE001 whatever it is, nothing depends on the note
            log.warning("the use of a key is not noted", detail=str(error))
        finally:
            del self._noting[key_id]


def _refusal(row: Record | None) -> str | None:
    """Why a key lets nobody in. More than that it is not known hears only who has had it."""
    if row is None:
        return "This key is not known here."
    if row["revoked_at"] is not None:
        return f"This key ({row['name']!r}) was revoked."
    if row["expires_at"] is not None and row["expires_at"] <= now():
        return f"This key ({row['name']!r}) expired on {datetime.fromtimestamp(row['expires_at'], UTC):%Y-%m-%d}."
    return None


def remember(connection: HTTPConnection, identity: Identity) -> None:
    """Keep who asks for the endpoint."""
    connection.scope[_PLACE] = identity


def remembered(connection: HTTPConnection) -> Identity | None:
    """Who asks; None where no key is asked for."""
    identity: Identity | None = connection.scope.get(_PLACE)
    return identity
