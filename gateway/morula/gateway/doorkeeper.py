"""Asks every request for a key that allows what it wants, before anything of its body is read."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from fastapi.routing import APIRoute, iter_route_contexts
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from morula.gateway import scopes
from morula.gateway.door import Door, remember


class Doorkeeper:
    """Lets a request in whose key has the scope that its operation needs."""

    def __init__(self, app: ASGIApp, door: Door, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._door = door
        self._operations = list(operations(routes))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or raise why not; the guard answers."""
        if scope["type"] == "http" and self._door.asks:
            needed = self._needed(scope)
            if needed is not None:
                connection = HTTPConnection(scope)
                identity = await self._door.identify(connection)
                identity.check(needed)
                remember(connection, identity)
        await self._app(scope, receive, send)

    def _needed(self, scope: Scope) -> scopes.Scope | None:
        """What is no operation of the API is a file of the page, or is refused by the application."""
        for operation in self._operations:
            if operation.method == scope["method"] and operation.path.match(scope["path"]):
                return operation.scope
        return None


class Operation(NamedTuple):
    """A method at a path, and what it needs."""

    method: str
    path: re.Pattern[str]
    scope: scopes.Scope | None


def operations(routes: Sequence[BaseRoute]) -> Iterator[Operation]:
    """All operations of the API."""
    for context in iter_route_contexts(routes):
        if isinstance(context.original_route, APIRoute):
            pattern, _, _ = compile_path(context.path or "")
            for method in context.methods or ():
                yield Operation(method, pattern, scopes.needed(context.tags, method))
