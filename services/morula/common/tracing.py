"""Traces (W3C trace context): which piece of work hangs below which, across processes and across their deaths.

A span that is open when its process is killed is lost. What must not be lost is `named`: its id follows from its name,
so that others can hang below it before it ended, and whoever knows the name can draw it once it is over.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

Attributes = Mapping[str, str | bool | int | float]

QUEUE_LENGTH = 2**15
"""Spans that wait for the exporter: those of a job with ten thousand shards come at once."""
HEADER = "traceparent"

# Not the global propagator, which would hand on anything that a client calls baggage.
_propagator = TraceContextTextMapPropagator()
# Without an exporter spans have ids, by which lines of the log are found, and go nowhere.
_provider = TracerProvider(shutdown_on_exit=False)
_processor: SpanProcessor | None = None


@dataclass(frozen=True)
class Drawn:
    """A named span that is over."""

    name: str
    context: SpanContext
    parent: SpanContext | None
    began_s: float
    """Seconds since 1970, as is the end."""
    ended_s: float
    attributes: Attributes = field(default_factory=dict)
    failure: str | None = None
    """The reason of a failure, never its text."""


def export_as(service: str) -> None:
    """Sends spans to the collector that the environment names, if it names one."""
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        # Imported here because the exporter costs start-up time that most processes need not pay.
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        use(service, BatchSpanProcessor(OTLPSpanExporter(), max_queue_size=QUEUE_LENGTH))


def use(service: str, processor: SpanProcessor) -> None:
    """From here on, spans of this process go there."""
    global _provider, _processor
    _provider = TracerProvider(resource=Resource.create({"service.name": f"morula-{service}"}))
    _provider.add_span_processor(processor)
    _processor = processor


def is_exporting() -> bool:
    """Whether spans go anywhere."""
    return _processor is not None


def flush() -> None:
    """Sends the spans that wait. A process that a signal ends would otherwise lose them."""
    _provider.force_flush()


@contextmanager
def answering(name: str, headers: Mapping[str, str], attributes: Attributes) -> Iterator[Span]:
    """The span of a call that came in, below the caller's. It tells the reason of a failure, never its text."""
    parent = _propagator.extract({HEADER: headers.get(HEADER, ""), "tracestate": headers.get("tracestate", "")})
    with _provider.get_tracer("morula").start_as_current_span(
        name, parent, SpanKind.SERVER, attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        yield span


def current() -> SpanContext:
    """Context of the current span; not valid where there is none."""
    return trace.get_current_span().get_span_context()


def current_trace_id() -> str:
    """The trace id, by which lines of the log are found."""
    return f"{current().trace_id:032x}"


def outgoing() -> dict[str, str]:
    """Headers of a call that is made from here."""
    headers: dict[str, str] = {}
    _propagator.inject(headers)
    return headers


def parse(traceparent: str) -> SpanContext:
    """The span that a header names."""
    return trace.get_current_span(_propagator.extract({HEADER: traceparent})).get_span_context()


def root(name: str) -> SpanContext:
    """The first span of a trace of its own."""
    number = sha256(name.encode()).digest()
    return _context(int.from_bytes(number[:16]), number[16:24], TraceFlags.SAMPLED)


def named(parent: SpanContext, name: str) -> SpanContext:
    """The span below `parent` that has this name. There is one of each name."""
    number = sha256(f"{parent.trace_id:032x}/{parent.span_id:016x}/{name}".encode()).digest()
    return _context(parent.trace_id, number[:8], parent.trace_flags)


def unsampled() -> SpanContext:
    """A trace that is not exported: it only has an id for the log."""
    number = os.urandom(24)
    return _context(int.from_bytes(number[:16]), number[16:], TraceFlags.DEFAULT)


def _context(trace_id: int, span_id: bytes, flags: int) -> SpanContext:
    return SpanContext(trace_id, int.from_bytes(span_id), is_remote=True, trace_flags=TraceFlags(flags))


@contextmanager
def inside(context: SpanContext) -> Iterator[None]:
    """Whatever is done in here is below that span."""
    token = contexts.attach(trace.set_span_in_context(NonRecordingSpan(context)))
    try:
        yield
    finally:
        contexts.detach(token)


def draw(spans: Sequence[Drawn]) -> None:
    """Sends named spans that are over."""
    if _processor is None:
        return
    for span in spans:
        status = Status(StatusCode.UNSET) if span.failure is None else Status(StatusCode.ERROR, span.failure)
        _processor.on_end(
            ReadableSpan(
                span.name,
                span.context,
                span.parent,
                _provider.resource,
                span.attributes,
                status=status,
                start_time=round(span.began_s * 1e9),
                end_time=round(span.ended_s * 1e9),
            )
        )
