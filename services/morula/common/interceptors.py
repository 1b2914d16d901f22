"""What happens around every call: ids, errors, metrics, the token, required fields."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import grpc
from google.protobuf.message import Message
from opentelemetry import trace
from prometheus_client import Counter, Gauge, Histogram

from morula.common import tracing
from morula.common.disk_space import is_full
from morula.common.errors import Internal, MorulaError, StorageFull, Unauthenticated, Unimplemented
from morula.common.required import check_required
from morula.common.telemetry import bind_call, current_ids, log
from morula.common.wire import ACCEPTED_HEADER, DETAILS_HEADER, STATUS_CODES, from_rpc_error, to_status

CALLS = Counter("morula_rpc_calls_total", "Calls by method and status code.", ["method", "code"])
DURATIONS = Histogram(
    "morula_rpc_duration_seconds",
    "Duration of calls by method and status code.",
    ["method", "code"],
    buckets=(0.005, 0.02, 0.1, 0.5, 2, 10, 30, 60, 300, 1200),
)

IN_FLIGHT = Gauge("morula_rpc_in_flight", "Calls that are being answered, by method.", ["method"])

_HEALTH = "/grpc.health.v1.Health/"


class ServerInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg] # generic in the stubs only
    """Wraps every method but health, which answers anyone at any time."""

    def __init__(self, token: str | None = None) -> None:
        self._token = token

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any]]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any]:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(_HEALTH):
            return handler
        headers = _headers(handler_call_details.invocation_metadata)
        if handler.response_streaming:
            return self._stream_handler(handler, method, headers)
        return self._unary_handler(handler, method, headers)

    def _unary_handler(self, handler: Any, method: str, headers: dict[str, str]) -> grpc.RpcMethodHandler[Any, Any]:
        inner = handler.stream_unary if handler.request_streaming else handler.unary_unary
        make = (
            grpc.stream_unary_rpc_method_handler if handler.request_streaming else grpc.unary_unary_rpc_method_handler
        )

        async def unary(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            async with self._around(method, headers, request, context):
                return await inner(request, context)

        return make(unary, handler.request_deserializer, handler.response_serializer)

    def _stream_handler(self, handler: Any, method: str, headers: dict[str, str]) -> grpc.RpcMethodHandler[Any, Any]:
        inner = handler.stream_stream if handler.request_streaming else handler.unary_stream
        make = (
            grpc.stream_stream_rpc_method_handler if handler.request_streaming else grpc.unary_stream_rpc_method_handler
        )

        async def stream(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
            async with self._around(method, headers, request, context):
                async for response in inner(request, context):
                    yield response

        return make(stream, handler.request_deserializer, handler.response_serializer)

    @asynccontextmanager
    async def _around(
        self, method: str, headers: dict[str, str], request: Any, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[None]:
        service, _, name = method.removeprefix("/").partition("/")
        attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}
        with tracing.answering(method.removeprefix("/"), headers, attributes):
            bind_call(headers)
            async with _errors(method, context):
                with _measured(method):
                    self._check_token(headers)
                    if isinstance(request, Message):
                        check_required(request)
                    if "x-job-id" in headers:
                        # The channel must not repeat a call that died with its service: the conductor counts those.
                        await context.send_initial_metadata(((ACCEPTED_HEADER, "1"),))
                    yield

    def _check_token(self, headers: dict[str, str]) -> None:
        if self._token is None:
            return
        expected = f"Bearer {self._token}".encode()
        if not hmac.compare_digest(headers.get("authorization", "").encode(), expected):
            raise Unauthenticated("the call carries no valid token")


@asynccontextmanager
async def _errors(method: str, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[None]:
    try:
        yield
    except (asyncio.CancelledError, GeneratorExit, grpc.aio.AbortError):
        raise
    except Exception as error:  # noqa: BLE001 - the one place where everything ends up
        failure = _as_morula_error(error)
        trace.get_current_span().set_status(trace.StatusCode.ERROR, failure.reason)
        if isinstance(failure, Internal):
            log.exception("call failed", method=method)
        else:
            log.info("call refused", method=method, reason=failure.reason, detail=failure.detail)
        await _abort(context, failure)


def _as_morula_error(error: Exception) -> MorulaError:
    if isinstance(error, MorulaError):
        return error
    if isinstance(error, NotImplementedError):  # what generated servicers raise
        return Unimplemented("this method is not implemented here")
    if isinstance(error, grpc.RpcError):
        return from_rpc_error(error)
    if is_full(error):  # The store and the cache raise StorageFull themselves.
        return StorageFull(
            "no disk space for temporary files of the service: free some in its TMPDIR, or set it to a larger folder"
        )
    # The error's text may hold paths or secrets: only the log has it, and the caller gets the id to find it.
    return Internal("internal error", trace_id=tracing.current_trace_id())


async def _abort(context: grpc.aio.ServicerContext[Any, Any], error: MorulaError) -> None:
    status = to_status(error)
    trailers = ((DETAILS_HEADER, status.SerializeToString()),)
    await context.abort(STATUS_CODES[error.code], status.message, trailers)


@contextmanager
def _measured(method: str) -> Iterator[None]:
    start, code = time.perf_counter(), "OK"
    IN_FLIGHT.labels(method).inc()
    try:
        yield
    except MorulaError as error:
        code = error.code.name
        raise
    except (asyncio.CancelledError, GeneratorExit):
        code = "CANCELLED"
        raise
    except NotImplementedError:
        code = "UNIMPLEMENTED"
        raise
    except Exception:
        code = "INTERNAL"
        raise
    finally:
        IN_FLIGHT.labels(method).dec()
        CALLS.labels(method, code).inc()
        DURATIONS.labels(method, code).observe(time.perf_counter() - start)


def _headers(metadata: Any) -> dict[str, str]:
    return {name: value for name, value in metadata or () if isinstance(value, str)}


class _Caller:
    def __init__(self, token: str | None) -> None:
        self._token = token

    def _with_headers(self, details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
        metadata = grpc.aio.Metadata(*(details.metadata or ()))
        for name, value in current_ids().items():
            metadata.add(name, value)
        if self._token:
            metadata.add("authorization", f"Bearer {self._token}")
        return grpc.aio.ClientCallDetails(
            details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
        )


class CallerInterceptor(_Caller, grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[type-arg]
    """Sends the token and the ids of job and trace along."""

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(self._with_headers(client_call_details), request)


class StreamCallerInterceptor(_Caller, grpc.aio.UnaryStreamClientInterceptor):  # type: ignore[type-arg]
    """The same for calls that are answered by a stream."""

    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(self._with_headers(client_call_details), request)
