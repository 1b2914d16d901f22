"""JSON logs, traces and metrics. Ids of job and trace travel in context variables, so every line carries them."""

from __future__ import annotations

import logging
import os
import re
import secrets
import sys
import threading
import traceback
from threading import Thread
from types import TracebackType
from typing import Any
from urllib.parse import unquote

import structlog
from opentelemetry import propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import start_http_server
from structlog.contextvars import bind_contextvars, get_contextvars
from structlog.tracebacks import ExceptionDictTransformer

from morula.common.redaction import keep_secret, redact

log: structlog.stdlib.BoundLogger = structlog.get_logger()
tracer = trace.get_tracer("morula")

_to_json = structlog.processors.JSONRenderer()
_JOB_ID = re.compile(r"[A-Za-z0-9._:/-]{1,128}")


def configure(service: str, level: str = "INFO") -> None:
    """Sets up logs to stderr and traces; spans are exported only where an OTLP endpoint is set."""
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Without the frames' variables: there, tokens and passwords lie about.
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
    bind_contextvars(service=service)
    provider = TracerProvider(resource=Resource.create({"service.name": f"morula-{service}"}))
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        # Imported here because the exporter costs start-up time that most processes need not pay.
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


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
    """Secrets that libraries read from the surroundings themselves."""
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


def serve_metrics(port: int, host: str = "127.0.0.1") -> tuple[Any, Thread]:
    """Serves /metrics; returns the server and its thread, `server.shutdown()` ends it."""
    return start_http_server(port, addr=host)


def bind_call(headers: dict[str, str]) -> str:
    """Binds job and trace ids of an incoming call to this context; returns the trace id."""
    span = trace.get_current_span(propagate.extract(headers)).get_span_context()
    trace_id = f"{span.trace_id:032x}" if span.is_valid else secrets.token_hex(16)
    bind_contextvars(trace_id=trace_id)
    job_id = headers.get("x-job-id", "")
    if _JOB_ID.fullmatch(job_id):
        bind_contextvars(job_id=job_id)
    return trace_id


def bind_job(job_id: str) -> None:
    """From here on, logs and calls to services carry this job's id."""
    bind_contextvars(job_id=job_id)


def current_ids() -> dict[str, str]:
    """Headers that an outgoing call carries: `x-job-id` and W3C `traceparent`."""
    bound = get_contextvars()
    headers: dict[str, str] = {}
    propagate.inject(headers)
    if "traceparent" not in headers and "trace_id" in bound:
        headers["traceparent"] = f"00-{bound['trace_id']}-{secrets.token_hex(8)}-01"
    if "job_id" in bound:
        headers["x-job-id"] = bound["job_id"]
    return headers
