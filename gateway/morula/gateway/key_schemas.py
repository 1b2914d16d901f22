"""What requests and answers about keys look like."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from morula.gateway.fields import Name, Request
from morula.gateway.schemas import Answer, Listed, Time
from morula.gateway.scopes import Scope

LONGEST_DAYS = 3653.0


def _plain(name: str) -> str:
    """As people see it: two names that look alike are one. Marks of direction and other characters that nobody sees
    are refused."""
    seen = " ".join(unicodedata.normalize("NFC", name).split())
    if not seen or not seen.isprintable():
        raise ValueError("a name is made of characters that can be seen, and blanks between them")
    return seen


KeyName = Annotated[Name, AfterValidator(_plain)]


class NewKey(Request):
    """A key that is wanted."""

    name: KeyName
    """Who or what will use it; what is said with the key stands under this name."""
    scopes: Annotated[frozenset[Scope], Field(min_length=1)]
    expires_days: Annotated[float, Field(gt=0, le=LONGEST_DAYS)] | None = None
    """Null: it never expires."""


class Key(Answer):
    """A key, without its text."""

    id: str
    name: str
    prefix: str
    """What its text begins with."""
    scopes: list[Scope]
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None
    """To the minute."""
    revoked_at: Time | None


class MadeKey(Key):
    """A key with its text, which is told only now."""

    key: str


class Keys(Listed):
    keys: list[Key]


class SignIn(Request):
    """The key that a browser signs in with."""

    key: Annotated[SecretStr, Field(min_length=1, max_length=200)]


class Session(Answer):
    """Who asks."""

    asks_for_key: bool
    """Whether this server lets in only who has a key."""
    name: str | None
    """The name of the key that came with the request; null where none did that lets anybody in."""
    scopes: list[Scope]
    """What may be done."""
