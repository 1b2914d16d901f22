"""JSON logs and metrics. Ids of job and trace travel in context variables, so every line carries them."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
import traceback
from types import TracebackType
from urllib.parse import unquote

import structlog
from structlog.contextvars import bind_contextvars, get_contextvars
from structlog.tracebacks import ExceptionDictTransformer

from morula.common import tracing
from morula.common.redaction import keep_secret, redact

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_to_json = structlog.processors.JSONRenderer()
_JOB_ID = re.compile(r"[A-Za-z0-9._:/-]{1,128}")


def configure(service: str, level: str = "INFO") -> None:
    """Sets up logs to stderr, and traces where the environment names a collector."""
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        lambda _logger, _name, event: _placed(event, service),
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Do not log the frames' variables: they hold tokens and passwords.
        structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
    ]
    structlog.configure(
        processors=[*processors, _render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    _route_libraries(processors)
    _keep_secrets_of_libraries()
    sys.excepthook = _tell_uncaught
    threading.excepthook = _tell_of_thread
    tracing.export_as(service)


def _placed(event: structlog.typing.EventDict, service: str) -> structlog.typing.EventDict:
    """Adds the program, also on threads that began without our context, and the trace."""
    event["service"] = service
    if tracing.current().is_valid:
        event["trace_id"] = tracing.current_trace_id()
    return event


def _route_libraries(processors: list[structlog.typing.Processor]) -> None:
    """Warnings of libraries, which speak to `logging`, become lines of the same kind."""
    render = structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _render],
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *processors],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(render)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)


def _render(logger: structlog.typing.WrappedLogger, name: str, event: structlog.typing.EventDict) -> str:
    """One line of JSON, the only way into the log, and no secret passes it."""
    return redact(str(_to_json(logger, name, event)))


def _keep_secrets_of_libraries() -> None:
    """Secrets that libraries read from the environment themselves."""
    for name in ("PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        keep_secret(os.environ.get(name, ""))
    for name in ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"):
        for pair in os.environ.get(name, "").split(","):
            value = pair.partition("=")[2].strip()
            keep_secret(value, unquote(value))


def _tell_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    sys.stderr.write(redact("".join(traceback.format_exception(kind, error, trace))))


def _tell_of_thread(died: threading.ExceptHookArgs) -> None:
    if died.exc_value is not None and died.exc_type is not SystemExit:
        log.critical("a thread died", thread=died.thread.name if died.thread else "", exc_info=died.exc_value)


def bind_call(headers: dict[str, str]) -> None:
    """From here on, logs and calls to services carry the id of the job that an incoming call is for."""
    job_id = headers.get("x-job-id", "")
    if _JOB_ID.fullmatch(job_id):
        bind_job(job_id)


def bind_job(job_id: str) -> None:
    """From here on, logs and calls to services carry this job's id."""
    bind_contextvars(job_id=job_id)


def current_ids() -> dict[str, str]:
    """Headers that an outgoing call carries: `x-job-id` and W3C `traceparent`."""
    headers = tracing.outgoing()
    job_id = get_contextvars().get("job_id")
    return headers if job_id is None else headers | {"x-job-id": job_id}
