"""Every way a call can fail: one closed table from reason to gRPC status to HTTP status.

A class's docstring is its title. Numbers are those of `google/rpc/code.proto`, but where a class says otherwise.
`morula.common.rpc` puts these on the wire; nothing here knows gRPC.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import ClassVar

from morula.common.redaction import redact


class Code(Enum):
    """A status, as gRPC and as HTTP number it."""

    CANCELLED = (1, 499)
    UNKNOWN = (2, 500)
    INVALID_ARGUMENT = (3, 400)
    DEADLINE_EXCEEDED = (4, 504)
    NOT_FOUND = (5, 404)
    ALREADY_EXISTS = (6, 409)
    PERMISSION_DENIED = (7, 403)
    RESOURCE_EXHAUSTED = (8, 429)
    FAILED_PRECONDITION = (9, 400)
    ABORTED = (10, 409)
    OUT_OF_RANGE = (11, 400)
    UNIMPLEMENTED = (12, 501)
    INTERNAL = (13, 500)
    UNAVAILABLE = (14, 503)
    DATA_LOSS = (15, 500)
    UNAUTHENTICATED = (16, 401)

    @property
    def grpc(self) -> int:
        return self.value[0]

    @property
    def http(self) -> int:
        return self.value[1]


class MorulaError(Exception):
    """Something went wrong."""

    code: ClassVar[Code] = Code.INTERNAL
    reason: ClassVar[str] = ""
    http_status: ClassVar[int] = 0

    def __init_subclass__(cls) -> None:
        if "http_status" not in cls.__dict__:
            cls.http_status = cls.code.http

    def __init__(self, detail: str = "", **metadata: str) -> None:
        # Errors are written to logs, traces, answers and the ledger: anybody may read their text.
        self.detail = redact(detail)
        self.metadata = {name: redact(value) for name, value in metadata.items()}
        super().__init__(self.detail, self.metadata)

    def __reduce__(self) -> tuple[object, ...]:
        # The conductor's engine stores errors of its steps; an exception is otherwise rebuilt from `args` alone.
        return type(self), (self.detail,), self.__dict__

    @property
    def title(self) -> str:
        return (type(self).__doc__ or "").split("\n", 1)[0]

    def __str__(self) -> str:
        return self.detail or self.title


class InvalidArgument(MorulaError):
    """Something in the request is not valid."""

    code, reason = Code.INVALID_ARGUMENT, "INVALID_ARGUMENT"


class MissingField(MorulaError):
    """A required field is missing."""

    code, reason = Code.INVALID_ARGUMENT, "MISSING_FIELD"


class KeyInvalid(MorulaError):
    """This is not a valid key of the store."""

    code, reason = Code.INVALID_ARGUMENT, "KEY_INVALID"


class SlideUnreadable(MorulaError):
    """The file cannot be read as a slide."""

    code, reason = Code.INVALID_ARGUMENT, "SLIDE_UNREADABLE"


class SlideScaleUnknown(MorulaError):
    """The size of the slide's pixels is not known."""

    code, reason, http_status = Code.INVALID_ARGUMENT, "SLIDE_SCALE_UNKNOWN", 422


class ArtifactInvalid(MorulaError):
    """A stored file is damaged or has an unexpected format."""

    code, reason = Code.FAILED_PRECONDITION, "ARTIFACT_INVALID"


class NotFound(MorulaError):
    """It does not exist, or was deleted."""

    code, reason = Code.NOT_FOUND, "NOT_FOUND"


class ArtifactMissing(MorulaError):
    """A stored file is missing."""

    code, reason = Code.NOT_FOUND, "ARTIFACT_MISSING"


class ArtifactChanged(MorulaError):
    """A stored file has changed."""

    code, reason = Code.FAILED_PRECONDITION, "ARTIFACT_CHANGED"


class Gone(MorulaError):
    """Stored results are missing or damaged, and have to be made again."""

    code, reason, http_status = Code.NOT_FOUND, "GONE", 410


class AlreadyExists(MorulaError):
    """It exists already."""

    code, reason = Code.ALREADY_EXISTS, "ALREADY_EXISTS"


class FailedPrecondition(MorulaError):
    """This is not possible now."""

    code, reason = Code.FAILED_PRECONDITION, "FAILED_PRECONDITION"


class InUse(MorulaError):
    """Something else still uses it."""

    code, reason, http_status = Code.FAILED_PRECONDITION, "IN_USE", 409


class ModelUnavailable(MorulaError):
    """The model, or this revision of it, is not installed here."""

    code, reason = Code.FAILED_PRECONDITION, "MODEL_UNAVAILABLE"


class ModelMismatch(MorulaError):
    """The inputs were made with a different model."""

    code, reason = Code.FAILED_PRECONDITION, "MODEL_MISMATCH"


class Busy(MorulaError):
    """Too much is asked for at once; try again soon."""

    code, reason = Code.RESOURCE_EXHAUSTED, "BUSY"

    def __init__(self, detail: str = "", *, retry_after_s: float = 1.0, **metadata: str) -> None:
        super().__init__(detail, **metadata)
        self.retry_after_s = retry_after_s


class TooLarge(MorulaError):
    """It is larger than the limit."""

    code, reason, http_status = Code.RESOURCE_EXHAUSTED, "TOO_LARGE", 413


class StorageFull(MorulaError):
    """There is no disk space left."""

    code, reason, http_status = Code.RESOURCE_EXHAUSTED, "STORAGE_FULL", 507


class Unauthenticated(MorulaError):
    """The caller did not prove who they are."""

    code, reason = Code.UNAUTHENTICATED, "UNAUTHENTICATED"


class PermissionDenied(MorulaError):
    """This is not allowed."""

    code, reason = Code.PERMISSION_DENIED, "PERMISSION_DENIED"


class LicenceForbids(MorulaError):
    """A model may not be used here: its licence or training data do not allow it."""

    code, reason = Code.PERMISSION_DENIED, "LICENCE_FORBIDS"


class Conflict(MorulaError):
    """It conflicts with another change."""

    code, reason = Code.ABORTED, "CONFLICT"


class Stale(MorulaError):
    """It has changed since you looked."""

    code, reason, http_status = Code.ABORTED, "STALE", 412


class DeadlineExceeded(MorulaError):
    """It took too long and was stopped."""

    code, reason = Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"


class TooSlow(MorulaError):
    """The request came in too slowly."""

    code, reason, http_status = Code.DEADLINE_EXCEEDED, "TOO_SLOW", 408


class Cancelled(MorulaError):
    """It was cancelled."""

    code, reason = Code.CANCELLED, "CANCELLED"


class Unavailable(MorulaError):
    """Something that is needed does not answer now; try again soon."""

    code, reason = Code.UNAVAILABLE, "UNAVAILABLE"


class Unimplemented(MorulaError):
    """This is not offered here."""

    code, reason = Code.UNIMPLEMENTED, "UNIMPLEMENTED"


class Internal(MorulaError):
    """Internal error."""

    code, reason = Code.INTERNAL, "INTERNAL"


DAMAGED = (ArtifactInvalid, ArtifactMissing, ArtifactChanged)
"""Errors of an artifact that is missing or damaged; `key` in their metadata says which."""


@contextmanager
def of_artifact(key: str) -> Iterator[None]:
    """Adds the artifact's key to an ArtifactInvalid that is raised in the block."""
    try:
        yield
    except ArtifactInvalid as error:
        error.metadata.setdefault("key", key)
        raise


ALL_ERRORS: tuple[type[MorulaError], ...] = tuple(MorulaError.__subclasses__())

_BY_REASON = {error.reason: error for error in ALL_ERRORS}

# What a status without our reason means, whoever sent it: gRPC itself, a proxy, another program.
FALLBACKS: dict[Code, type[MorulaError]] = {
    Code.CANCELLED: Cancelled,
    Code.UNKNOWN: Internal,
    Code.INVALID_ARGUMENT: InvalidArgument,
    Code.DEADLINE_EXCEEDED: DeadlineExceeded,
    Code.NOT_FOUND: NotFound,
    Code.ALREADY_EXISTS: AlreadyExists,
    Code.PERMISSION_DENIED: PermissionDenied,
    Code.RESOURCE_EXHAUSTED: TooLarge,  # gRPC's own message limit; "busy" always carries its reason
    Code.FAILED_PRECONDITION: FailedPrecondition,
    Code.ABORTED: Conflict,
    Code.OUT_OF_RANGE: InvalidArgument,
    Code.UNIMPLEMENTED: Unimplemented,
    Code.INTERNAL: Internal,
    Code.UNAVAILABLE: Unavailable,
    Code.DATA_LOSS: Internal,
    Code.UNAUTHENTICATED: Unauthenticated,
}


def by_reason(reason: str, code: Code) -> type[MorulaError]:
    """The class with this reason, or the one that stands for this status."""
    return _BY_REASON.get(reason, FALLBACKS[code])
