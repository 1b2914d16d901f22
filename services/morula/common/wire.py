"""Errors on the wire: a MorulaError becomes a gRPC status with `google.rpc.ErrorInfo`, and comes back as itself."""

from __future__ import annotations

from collections.abc import Iterable

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from morula.common.errors import Busy, Code, MorulaError, by_reason

DOMAIN = "morula"
DETAILS_HEADER = "grpc-status-details-bin"
ACCEPTED_HEADER = "x-morula-accepted"

STATUS_CODES: dict[Code, grpc.StatusCode] = {Code[status.name]: status for status in grpc.StatusCode if status.value[0]}
_CODES = {status: code for code, status in STATUS_CODES.items()}


def to_status(error: MorulaError) -> status_pb2.Status:
    """The rich status; Busy says when to come again."""
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    status = status_pb2.Status(code=error.code.grpc, message=str(error))
    status.details.append(_packed(info))
    if isinstance(error, Busy):
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(int(error.retry_after_s * 1000))
        status.details.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    return status


def from_status(status: status_pb2.Status) -> MorulaError:
    """The error that a rich status stands for."""
    code = next((code for code in Code if code.grpc == status.code), Code.UNKNOWN)
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in status.details:
        # Unpack changes its argument only where the type fits.
        if not detail.Unpack(info):
            detail.Unpack(retry)
    kind = by_reason(info.reason if info.domain == DOMAIN else "", code)
    error = kind(status.message)
    error.metadata.update(info.metadata)
    if isinstance(error, Busy) and retry.HasField("retry_delay"):
        error.retry_after_s = retry.retry_delay.ToMilliseconds() / 1000
    return error


def from_rpc_error(error: grpc.RpcError) -> MorulaError:
    """What a failed call meant; statuses that are not ours become the error that stands for their code."""
    for name, value in _trailers(error):
        if name == DETAILS_HEADER and isinstance(value, bytes):
            return from_status(status_pb2.Status.FromString(value))
    code, details = getattr(error, "code", None), getattr(error, "details", None)
    status = code() if code else grpc.StatusCode.UNKNOWN
    return from_status(status_pb2.Status(code=_CODES[status].grpc, message=(details() if details else "") or ""))


def died_under_way(error: grpc.RpcError) -> bool:
    """Whether the service took the call, and went away before it said anything more."""
    code, initial = getattr(error, "code", None), getattr(error, "initial_metadata", None)
    if code is None or initial is None or code() != grpc.StatusCode.UNAVAILABLE:
        return False
    return not was_answered(error) and any(name == ACCEPTED_HEADER for name, _ in initial() or ())


def was_answered(error: grpc.RpcError) -> bool:
    """Whether the service itself said that it failed, and not the way to it."""
    return any(name == DETAILS_HEADER for name, _ in _trailers(error))


def _trailers(error: grpc.RpcError) -> Iterable[tuple[str, str | bytes]]:
    trailers = getattr(error, "trailing_metadata", None)
    return (trailers() if trailers else None) or ()


def _packed(message: error_details_pb2.ErrorInfo | error_details_pb2.RetryInfo) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
