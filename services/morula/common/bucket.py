"""Requests to one bucket of any S3, and what it answers in errors of ours.

Nobody else knows that two clients make them. `minio` moves the data; `boto3` makes the one request that it cannot:
put-if-absent is a conditional PUT (`If-None-Match: *`), and minio's `put_object(metadata=...)` makes that header user
metadata without a word.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import boto3
import urllib3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from minio import Minio
from minio.error import MinioException, S3Error

from morula.common.errors import (
    ArtifactMissing,
    FailedPrecondition,
    InvalidArgument,
    MorulaError,
    PermissionDenied,
    StorageFull,
    TooLarge,
    Unavailable,
)
from morula.common.store import Seen

PART_BYTES = 64 << 20
SHA256 = "x-amz-meta-sha256"


class Bucket:
    """One bucket. An object's sha256 travels with it as metadata."""

    def __init__(self, name: str, endpoint: str, access_key: str, secret_key: str, region: str) -> None:
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise InvalidArgument(f"{endpoint!r} is not an endpoint: use http://host:port or https://host")
        self._name = name

        def client(read_s: float, retries: urllib3.Retry | bool) -> Minio:
            timeout = urllib3.Timeout(connect=5, read=read_s)
            return Minio(
                parts.netloc,
                access_key=access_key,
                secret_key=secret_key,
                secure=parts.scheme == "https",
                region=region,
                http_client=urllib3.PoolManager(maxsize=16, timeout=timeout, retries=retries),
            )

        self._minio = client(120, urllib3.Retry(total=4, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504)))
        # A deletion is sent once, soon after its caller was allowed to: a retry could hit what was written since.
        self._deleter = client(30, retries=False)
        self._boto3 = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            region_name=region,
            config=Config(
                connect_timeout=5,
                retries={"max_attempts": 4, "mode": "standard"},
                s3={"addressing_style": "path"},
                # Not every S3 server understands newer checksums, sent in trailers; we check sha256 ourselves.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def put_if_absent(self, key: str, stream: BinaryIO, sha256: str, size_bytes: int) -> bool:
        """One conditional PUT; False where another writer was, or may have been, faster."""
        with _answers(key):
            try:
                self._boto3.put_object(
                    Bucket=self._name,
                    Key=key,
                    Body=stream,
                    ContentLength=size_bytes,
                    Metadata={"sha256": sha256},
                    IfNoneMatch="*",
                )
            except ClientError as error:
                if _code(error) in ("PreconditionFailed", "ConditionalRequestConflict", "412", "409"):
                    return False
                raise
        return True

    def put(self, key: str, stream: BinaryIO, sha256: str, size_bytes: int) -> None:
        """Of any size, in parts where it is large."""
        with _answers(key):
            self._minio.put_object(
                self._name, key, stream, size_bytes, metadata={"sha256": sha256}, part_size=PART_BYTES
            )

    def stat(self, key: str) -> tuple[str | None, int]:
        """The sha256 that was written with it, if one was, and its size."""
        with _answers(key):
            entry = self._minio.stat_object(self._name, key)
        return (entry.metadata or {}).get(SHA256), entry.size or 0

    def check_here(self, key: str) -> None:
        """Raises NoSuchBucket where the bucket is missing: a HEAD of an object answers alike for both."""
        with _answers(key):
            if not self._minio.bucket_exists(self._name):
                raise _translated("NoSuchBucket", key, 404)

    @contextmanager
    def read(self, key: str) -> Iterator[Any]:
        """The answer as a stream, with its headers."""
        with _answers(key):
            response = self._minio.get_object(self._name, key)
            try:
                yield response
            finally:
                response.close()
                response.release_conn()

    def list(self, prefix: str) -> Iterator[Seen]:
        """What lies there, as listings show it."""
        with _answers(prefix):
            for entry in self._minio.list_objects(self._name, prefix, recursive=True):
                if entry.object_name and entry.last_modified:
                    yield Seen(entry.object_name, entry.size or 0, entry.last_modified.timestamp())

    def delete(self, key: str) -> None:
        """Asks once; Unavailable where nobody knows whether it was heard."""
        with _answers(key):
            self._deleter.remove_object(self._name, key)


@contextmanager
def _answers(key: str) -> Iterator[None]:
    """Turns errors of the two clients into our own."""
    try:
        yield
    except ClientError as error:
        raise _translated(
            _code(error), key, error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        ) from error
    except S3Error as error:
        raise _translated(str(error.code), key, getattr(error.response, "status", None)) from error
    except (BotoCoreError, MinioException, urllib3.exceptions.HTTPError) as error:
        raise Unavailable(f"the object store cannot be reached for {key}") from error


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


# The bucket or the disks behind it take no more, until somebody frees space.
_FULL = ("QuotaExceeded", "InsufficientStorage", "InsufficientCapacity", "XMinioStorageFull")
# Errors with a 4xx status that may go away on another try.
_PASSING = ("SlowDown", "RequestTimeout", "TooManyRequests", "Throttling", "ThrottlingException", "OperationAborted")


def _translated(code: str, key: str, status: int | None) -> MorulaError:
    """The error that an answer stands for. Only what passes by itself is Unavailable: callers wait for that."""
    if code in ("NoSuchKey", "NoSuchObject", "404"):
        return ArtifactMissing(f"{key} is not in the store", key=key)
    if code in ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "403"):
        return PermissionDenied(f"the object store refused: {code}")
    if code in _FULL or status == 507:
        return StorageFull(f"the object store has no space left for {key}: {code}")
    if code == "EntityTooLarge":
        return TooLarge(f"the object store takes nothing as large as {key}")
    if code in _PASSING or status is None or status == 429 or status >= 500:
        return Unavailable(f"the object store answered {code} for {key}")
    return FailedPrecondition(f"the object store cannot be used as it is set up: it answered {code} for {key}")
