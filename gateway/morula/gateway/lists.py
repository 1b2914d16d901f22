"""Lists in parts: a request names the size of a part, and the cursor from the part before."""

import base64
import binascii
from typing import Annotated

from fastapi import Depends, Query

from morula.common.errors import InvalidArgument
from morula.gateway.ledger.records import Part, Slice

DEFAULT_LIMIT = 100
LIMIT = 1000
MARK_BYTES = 64
NO_CURSOR = "This is not a valid cursor: send the next_cursor of the answer before, or leave it out."


def _wanted(
    limit: Annotated[int, Query(ge=1, le=LIMIT)] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(max_length=200, description="The next_cursor of the part before.")] = None,
) -> Slice:
    return Slice(limit, None if cursor is None else _mark(cursor))


Wanted = Annotated[Slice, Depends(_wanted)]


def cursor_after(part: Part) -> str | None:
    """The cursor of the next part, an opaque text; None at the end."""
    if part.following is None:
        return None
    return base64.urlsafe_b64encode(part.following.encode()).decode().rstrip("=")


def _mark(cursor: str) -> str:
    try:
        mark = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise InvalidArgument(NO_CURSOR) from error
    if not (0 < len(mark) <= MARK_BYTES and mark.isprintable()):
        raise InvalidArgument(NO_CURSOR)
    return mark
