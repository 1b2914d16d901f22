"""Completes the API's description with every status that an operation may answer, and in which form.

Failures come from the table of errors; which ones an operation has follows from its path, its parameters and its
method. Operations whose answer is not JSON declare that with `served` and `created`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from morula.common.errors import ALL_ERRORS, MorulaError
from morula.gateway.door import COOKIE
from morula.gateway.problems import PROBLEM_JSON
from morula.gateway.scopes import MEANINGS, needed

Responses = dict[int | str, dict[str, Any]]
Operation = dict[str, Any]

BYTES = "application/octet-stream"

EVERYWHERE = (400, 403, 408, 413, 500, 503)
"""Statuses of the guard, of invalid requests and of unforeseen errors."""
BEHIND_SERVICES = (401, 429, 504)
"""Statuses of the doorkeeper, and of what the services answer."""
OF_THINGS = (404, 410)
OF_CHANGES = (409, 412, 507)

_PROBLEM = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457. What an error knows beyond these fields stands beside them.",
    "required": ["type", "title", "status", "detail", "reason", "trace_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "reason": {"type": "string", "pattern": "^[A-Z0-9_]+$"},
        "trace_id": {"type": "string", "description": "The log has it, too."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
_BYTES = {"schema": {"type": "string", "contentMediaType": BYTES}}
_WAYS_IN = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key, where the server asks for one. "
        + " ".join(f"`{scope}`: {meaning}." for scope, meaning in MEANINGS.items()),
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "The same key, which `POST /v1/session` puts into a cookie for browsers.",
    },
}


def _header(description: str, *, required: bool = True) -> dict[str, Any]:
    return {"description": description, "required": required, "schema": {"type": "string"}}


_LOCATION = {"Location": _header("Where it is.")}
_HEADERS = {
    401: {"WWW-Authenticate": _header("`Bearer`.")},
    429: {"Retry-After": _header("Seconds to wait.")},
}
_IMMUTABLE = {
    "ETag": _header("The content's own name."),
    "Cache-Control": _header("It never changes."),
    "Accept-Ranges": _header("`bytes`."),
}
_RANGE = {"Content-Range": _header("Which bytes, and of how many.")}


def served(*media_types: str) -> Responses:
    """Answers of immutable bytes: whole, a range, or nothing if the client has them."""
    content = {media_type: _schema(media_type) for media_type in media_types}
    return {
        200: {"content": content, "headers": _IMMUTABLE},
        206: {"description": "The range asked for.", "content": content, "headers": _IMMUTABLE | _RANGE},
        304: {"description": "The client has it.", "headers": _IMMUTABLE},
        416: {"description": "The range begins behind the end.", "headers": _IMMUTABLE | _RANGE},
    }


def exported(media_type: str) -> Responses:
    """Answers of a file that is made for each request."""
    headers = {"Content-Disposition": _header("The name to save it under.")}
    return {200: {"content": {media_type: _schema(media_type)}, "headers": headers}}


def _schema(media_type: str) -> dict[str, Any]:
    return {} if media_type == "application/json" else _BYTES


def created(status: int, model: type | None = None) -> Responses:
    """Answers of a request that makes something; with a model, 200 and what is there answer a repeated request."""
    made: Responses = {status: {"headers": _LOCATION}}
    there: Responses = {200: {"model": model, "description": "It was there already.", "headers": _LOCATION}}
    return made | (there if model is not None else {})


def install(app: FastAPI) -> None:
    """Have the application describe itself with all of its failures."""

    def describe() -> dict[str, Any]:
        if not app.openapi_schema:
            described = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes
            )
            _complete(described)
            app.openapi_schema = described
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign] # the way that the framework has for it


def _complete(described: dict[str, Any]) -> None:
    schemas = described.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = _PROBLEM
    described["components"]["securitySchemes"] = _WAYS_IN
    meanings = _meanings(ALL_ERRORS)
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            scope = needed(operation["tags"], method.upper())
            operation["security"] = [{way: [scope]} for way in _WAYS_IN] if scope else []
            responses = operation["responses"]
            for status in _failures(path, method, operation):
                if status == 422 or str(status) not in responses:
                    responses[str(status)] = _failure(status, meanings[status])


def _failures(path: str, method: str, operation: Operation) -> Iterable[int]:
    yield from EVERYWHERE
    if operation.get("parameters") or "requestBody" in operation:
        yield 422
    if path.startswith("/v1"):
        yield from BEHIND_SERVICES
    if "{" in path or method != "get":
        yield from OF_THINGS
    if method != "get":
        yield from OF_CHANGES


def _failure(status: int, meanings: list[str]) -> dict[str, Any]:
    problem = {
        "description": "\n".join(meanings) or "The request is not valid; `errors` says where.",
        "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    return {**problem, "headers": _HEADERS[status]} if status in _HEADERS else problem


def _meanings(errors: Iterable[type[MorulaError]]) -> Mapping[int, list[str]]:
    """The meanings of each status, by reason."""
    meanings: dict[int, list[str]] = defaultdict(list)
    for error in errors:
        meanings[error.http_status].append(f"`{error.reason}`: {error().title}")
    return meanings
