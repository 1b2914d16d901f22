"""A collector of traces on loopback, as an operator has one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


@dataclass(frozen=True)
class Told:
    """A span as it came in; ids in hex, no parent is empty."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    failed: bool


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Takes traces in."""

    def __init__(self) -> None:
        self._requests: list[Any] = []

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 the generated name
        self._requests.append(request)
        return trace_service_pb2.ExportTraceServiceResponse()

    @property
    def received(self) -> bytes:
        """All that came in, byte by byte."""
        return b"".join(request.SerializeToString() for request in self._requests)

    def spans(self) -> list[Told]:
        """All that came in."""
        found = []
        for resource in (one for request in list(self._requests) for one in request.resource_spans):
            facts = {fact.key: fact.value.string_value for fact in resource.resource.attributes}
            for span in (one for scope in resource.scope_spans for one in scope.spans):
                ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                failed = span.status.code == span.status.STATUS_CODE_ERROR
                found.append(Told(facts["service.name"], span.name, *ids, failed))
        return found


@contextmanager
def collecting(collector: Collector) -> Iterator[str]:
    """The collector's address."""
    server = grpc.server(futures.ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
