"""Every error is answered as application/problem+json (RFC 9457): our errors, those of services, and invalid requests.
An unforeseen error is logged in full; the client is told "internal error" and the id under which the log has it."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import Scope

from morula.common.disk_space import as_storage_error
from morula.common.errors import (
    DAMAGED,
    Busy,
    Gone,
    Internal,
    InvalidArgument,
    MorulaError,
    Unauthenticated,
    Unavailable,
)
from morula.common.redaction import redact
from morula.common.telemetry import log
from morula.common.tracing import current_trace_id
from morula.gateway.page import allowed

Problem = dict[str, Any]
PROBLEM_JSON = "application/problem+json"

RETRY_AFTER_S = 2


def problem_of(error: MorulaError, trace_id: str | None = None) -> Problem:
    """The problem document of an error."""
    document: Problem = {
        "type": f"urn:morula:problem:{error.reason.lower().replace('_', '-')}",
        "title": error.title,
        "status": error.http_status,
        "detail": error.detail or error.title,
        "reason": error.reason,
    }
    document.update({name: value for name, value in error.metadata.items() if name not in document})
    if trace_id is not None:
        document["trace_id"] = trace_id
    return document


def respond(problem: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> JSONResponse:
    """A problem as an answer."""
    return JSONResponse(dict(problem), problem["status"], dict(headers or {}), PROBLEM_JSON)


def install(app: FastAPI) -> None:
    """Have the application answer every error with a problem; the guard answers unforeseen ones."""
    app.add_exception_handler(MorulaError, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)


async def _answer_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, MorulaError):
        raise TypeError("registered for MorulaError only")
    if isinstance(error, DAMAGED):
        error = _gone(error)
    if isinstance(error, Internal):
        return answer_unexpected(request.scope, error)
    return answer(error)


def answer(error: MorulaError) -> JSONResponse:
    """An error as an answer, with the headers that belong to it."""
    return respond(problem_of(error, current_trace_id()), _headers(error))


def _headers(error: MorulaError) -> dict[str, str]:
    if isinstance(error, Unauthenticated):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, Busy):
        return {"Retry-After": str(max(1, round(error.retry_after_s)))}
    return {"Retry-After": str(RETRY_AFTER_S)} if isinstance(error, Unavailable) else {}


def _gone(error: MorulaError) -> Gone:
    """Say what a client can do: it knows no artifacts, but a slide can be uploaded and a job retried."""
    key = error.metadata.get("key", "")
    log.warning("an artifact is damaged", key=key, reason=error.reason, detail=str(error))
    what = "Files of the slide are" if "/slide/" in key else "Files of the job are"
    how = "upload the slide again" if "/slide/" in key else "retry the job to have it made again"
    return Gone(f"{what} missing from the store or damaged: {how}.", key=key)


async def _answer_invalid(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise TypeError("registered for RequestValidationError only")
    # What was sent is told back without a key that stands in a wrong place.
    errors = [
        {"pointer": redact(_pointer(item["loc"], error.body)), "detail": redact(item["msg"])} for item in error.errors()
    ]
    summary = f"{errors[0]['pointer'] or 'The request'}: {errors[0]['detail']}"
    problem = problem_of(InvalidArgument(summary), current_trace_id())
    return respond({**problem, "status": 422, "errors": errors})


async def _answer_http(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise TypeError("registered for HTTPException only")
    if isinstance(error.__cause__, MorulaError):
        # The framework reports an error from reading the body, for example TooLarge, as a body that cannot be parsed.
        return await _answer_error(request, error.__cause__)
    problem = {
        "type": "about:blank",
        "title": error.detail,
        "status": error.status_code,
        "detail": redact(f"{request.method} {request.url.path}: {error.detail}"),
        "reason": f"HTTP_{error.status_code}",
        "trace_id": current_trace_id(),
    }
    methods = allowed(request.app.router.routes, request.scope) if error.status_code == 405 else []
    # The framework names those of the first endpoint that it found at this path.
    return respond(problem, {**(error.headers or {}), **({"Allow": ", ".join(methods)} if methods else {})})


def answer_unexpected(scope: Scope, error: Exception) -> JSONResponse:
    """Log what nobody expected, once, and answer with the id to find it by."""
    found_by = current_trace_id()
    log.error("request failed", trace_id=found_by, path=scope["path"], exc_info=error)
    storage_error = as_storage_error(error, "on a disk of the gateway; the log has it under the trace id")
    if storage_error is not None:
        return respond(problem_of(storage_error, found_by))
    return respond(
        problem_of(Internal("Something went wrong in Morula. The log says what, under the trace id."), found_by)
    )


def _pointer(location: Sequence[Any], body: object) -> str:
    """Where in the request it is. The validator counts the kind of what was sent among the places: it is none."""
    parts = [str(part) for part in location]
    if parts[:1] == ["body"] and len(parts) > 2 and isinstance(body, dict) and location[1] not in body:
        del parts[1]
    return "/".join(parts)
