"""A store in a bucket of any S3.

Bytes are read with `minio`. Written is with `boto3`, because put-if-absent is one conditional PUT
(`If-None-Match: *`), and minio's `put_object(metadata=...)` makes that header user metadata without a word.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

import boto3
import urllib3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from minio import Minio
from minio.error import S3Error

from morula.common.cache import DEFAULT_CACHE_BYTES, FileCache
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
from morula.common.hashing import sha256_of
from morula.common.keys import validate_key
from morula.common.store import (
    MAX_ARTIFACT_BYTES,
    Seen,
    Source,
    Stored,
    check_sha256,
    copy_hashed,
    validate_prefix,
)

PART_BYTES = 64 << 20
SPOOL_BYTES = 8 << 20
CONFLICT_ATTEMPTS = 4


class S3Store:
    """A store in one bucket. sha256 travels as user metadata; an object without it is hashed once it is asked for."""

    def __init__(
        self,
        bucket: str,
        endpoint: str,
        access_key: str,
        secret_key: str,
        *,
        region: str = "us-east-1",
        cache_dir: Path | None = None,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
    ) -> None:
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise InvalidArgument(f"{endpoint!r} is not an endpoint: use http://host:port or https://host")
        self._bucket = bucket
        pool = urllib3.PoolManager(
            maxsize=16,
            timeout=urllib3.Timeout(connect=5, read=120),
            retries=urllib3.Retry(total=4, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504)),
        )
        self._reader = Minio(
            parts.netloc,
            access_key=access_key,
            secret_key=secret_key,
            secure=parts.scheme == "https",
            region=region,
            http_client=pool,
        )
        self._writer = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            region_name=region,
            config=Config(
                connect_timeout=5,
                retries={"max_attempts": 4, "mode": "standard"},
                s3={"addressing_style": "path"},
                # Newer checksums travel in trailers, which not every S3 understands; sha256 is ours anyway.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
        self._cache = FileCache(cache_dir, cache_bytes)

    def put(self, key: str, source: Source) -> Stored:
        existing = self.stat(key)
        if existing:
            return existing
        with _spooled(source) as (stream, sha256, size_bytes):
            if size_bytes > MAX_ARTIFACT_BYTES:
                raise TooLarge(f"{key} has {size_bytes} bytes; an artifact has at most {MAX_ARTIFACT_BYTES}")
            for _ in range(CONFLICT_ATTEMPTS):
                stream.seek(0)
                if self._put_if_absent(key, stream, sha256, size_bytes):
                    return Stored(key, sha256, size_bytes, created=True)
                if winner := self.stat(key):
                    return winner
        raise Unavailable(f"writing {key} collided {CONFLICT_ATTEMPTS} times with writers that gave up")

    def _put_if_absent(self, key: str, stream: BinaryIO, sha256: str, size_bytes: int) -> bool:
        """One conditional PUT; False where another writer was, or may have been, faster."""
        with _answers(key):
            try:
                self._writer.put_object(
                    Bucket=self._bucket,
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

    def put_large(self, key: str, source: Source) -> Stored:
        existing = self.stat(key)
        if existing:
            self.verify(key, existing.sha256)
            return existing
        parts = TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=2)
        with _spooled(source) as (stream, sha256, size_bytes), _answers(key):
            metadata = {"Metadata": {"sha256": sha256}}
            self._writer.upload_fileobj(stream, self._bucket, key, ExtraArgs=metadata, Config=parts)
        return Stored(key, sha256, size_bytes, created=True)

    def get(self, key: str, sha256: str | None = None) -> bytes:
        with self._response(key) as response:
            content = cast(bytes, response.read())
            expected = sha256 or response.headers.get("x-amz-meta-sha256")
        if expected:
            check_sha256(key, hashlib.sha256(content).hexdigest(), expected)
        return content

    @contextmanager
    def open(self, key: str, sha256: str | None = None) -> Iterator[BinaryIO]:
        with self.local_path(key, sha256) as path, path.open("rb") as stream:
            yield stream

    def stat(self, key: str) -> Stored | None:
        try:
            with _answers(key):
                found = self._reader.stat_object(self._bucket, validate_key(key))
        except ArtifactMissing:
            self._check_here(key)
            return None
        sha256 = (found.metadata or {}).get("x-amz-meta-sha256") or self._hash(key)
        return Stored(key, sha256, found.size or 0)

    def verify(self, key: str, sha256: str) -> None:
        check_sha256(key, self._hash(key), sha256)

    def list(self, prefix: str) -> Iterator[Stored]:
        with _answers(prefix):
            for found in self._reader.list_objects(self._bucket, validate_prefix(prefix), recursive=True):
                # Listings carry no metadata: one more question per object.
                if found.object_name and (stored := self.stat(found.object_name)):
                    yield stored

    def survey(self, prefix: str) -> Iterator[Seen]:
        with _answers(prefix):
            for found in self._reader.list_objects(self._bucket, validate_prefix(prefix), recursive=True):
                if found.object_name and found.last_modified:
                    yield Seen(found.object_name, found.size or 0, found.last_modified.timestamp())

    def delete(self, key: str, check: Callable[[], None] | None = None) -> None:
        if check is not None:
            check()
        with _answers(key):
            self._reader.remove_object(self._bucket, validate_key(key))

    @contextmanager
    def local_path(self, key: str, sha256: str | None = None) -> Iterator[Path]:
        expected = sha256 or self._existing(key).sha256
        with self._cache.file(expected, lambda path: self._download(key, expected, path)) as path:
            yield path

    def _download(self, key: str, sha256: str, path: Path) -> int:
        with self._response(key) as source, path.open("wb") as sink:
            actual, size_bytes = copy_hashed(source, sink)
        check_sha256(key, actual, sha256)
        return size_bytes

    def _existing(self, key: str) -> Stored:
        stored = self.stat(key)
        if stored is None:
            raise ArtifactMissing(f"{key} is not in the store", key=key)
        return stored

    def _check_here(self, key: str) -> None:
        """A question about an object is answered alike where it is missing and where its whole bucket is."""
        with _answers(key):
            if not self._reader.bucket_exists(self._bucket):
                raise _translated("NoSuchBucket", key, 404)

    def _hash(self, key: str) -> str:
        with self._response(key) as stream:
            return sha256_of(stream)

    @contextmanager
    def _response(self, key: str) -> Iterator[Any]:
        with _answers(key):
            response = self._reader.get_object(self._bucket, validate_key(key))
            try:
                yield response
            finally:
                response.close()
                response.release_conn()


@contextmanager
def _spooled(source: Source) -> Iterator[tuple[BinaryIO, str, int]]:
    """The source as a stream to send and, if need be, to send again; with sha256 and size, which go first."""
    if isinstance(source, Path):
        with source.open("rb") as stream:
            sha256 = sha256_of(stream)
            size_bytes = stream.seek(0, io.SEEK_END)
            stream.seek(0)
            yield stream, sha256, size_bytes
    elif isinstance(source, bytes):
        yield io.BytesIO(source), hashlib.sha256(source).hexdigest(), len(source)
    else:
        with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as spool:
            sha256, size_bytes = copy_hashed(source, cast(BinaryIO, spool))
            spool.seek(0)
            yield cast(BinaryIO, spool), sha256, size_bytes


@contextmanager
def _answers(key: str) -> Iterator[None]:
    """What the two clients raise, as errors of ours."""
    try:
        yield
    except ClientError as error:
        raise _translated(
            _code(error), key, error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        ) from error
    except S3Error as error:
        raise _translated(str(error.code), key, getattr(error.response, "status", None)) from error
    except (BotoCoreError, Boto3Error, urllib3.exceptions.HTTPError) as error:
        raise Unavailable(f"the object store cannot be reached for {key}") from error


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


# The bucket or the disks behind it take no more, until somebody makes room.
_FULL = ("QuotaExceeded", "InsufficientStorage", "InsufficientCapacity", "XMinioStorageFull")
# Answers with a 4xx that another try may change.
_PASSING = ("SlowDown", "RequestTimeout", "TooManyRequests", "Throttling", "ThrottlingException", "OperationAborted")


def _translated(code: str, key: str, status: int | None) -> MorulaError:
    """The error that an answer stands for. Only what passes by itself is Unavailable, which is waited for."""
    if code in ("NoSuchKey", "NoSuchObject", "404"):
        return ArtifactMissing(f"{key} is not in the store", key=key)
    if code in ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "403"):
        return PermissionDenied(f"the object store refused: {code}")
    if code in _FULL or status == 507:
        return StorageFull(f"the object store has no room left for {key}: {code}")
    if code == "EntityTooLarge":
        return TooLarge(f"the object store takes nothing as large as {key}")
    if code in _PASSING or status is None or status == 429 or status >= 500:
        return Unavailable(f"the object store answered {code} for {key}")
    return FailedPrecondition(f"the object store cannot be used as it is set up: it answered {code} for {key}")
