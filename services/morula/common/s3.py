"""A store in a bucket of any S3."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from morula.common.bucket import SHA256, Bucket
from morula.common.cache import DEFAULT_CACHE_BYTES, FileCache
from morula.common.errors import ArtifactChanged, ArtifactMissing, TooLarge, Unavailable
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
        self._bucket = Bucket(bucket, endpoint, access_key, secret_key, region)
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
                if self._bucket.put_if_absent(key, stream, sha256, size_bytes):
                    return Stored(key, sha256, size_bytes, created=True)
                if winner := self.stat(key):
                    return winner
        raise Unavailable(f"writing {key} collided {CONFLICT_ATTEMPTS} times with writers that gave up")

    def put_large(self, key: str, source: Source) -> Stored:
        existing = self.stat(key)
        if existing:
            self.verify(key, existing.sha256)
            return existing
        with _spooled(source) as (stream, sha256, size_bytes):
            try:
                self._bucket.put(key, stream, sha256, size_bytes)
            except OSError as error:
                if stream.seek(0, io.SEEK_END) == size_bytes:
                    raise
                raise ArtifactChanged(f"the file for {key} changed while it was read", key=key) from error
        return Stored(key, sha256, size_bytes, created=True)

    def get(self, key: str, sha256: str | None = None) -> bytes:
        with self._bucket.read(validate_key(key)) as response:
            content = cast(bytes, response.read())
            expected = sha256 or response.headers.get(SHA256)
        if expected:
            check_sha256(key, hashlib.sha256(content).hexdigest(), expected)
        return content

    @contextmanager
    def open(self, key: str, sha256: str | None = None) -> Iterator[BinaryIO]:
        with self.local_path(key, sha256) as path, path.open("rb") as stream:
            yield stream

    def stat(self, key: str) -> Stored | None:
        try:
            sha256, size_bytes = self._bucket.stat(validate_key(key))
        except ArtifactMissing:
            self._bucket.check_here(key)
            return None
        return Stored(key, sha256 or self._hash(key), size_bytes)

    def verify(self, key: str, sha256: str) -> None:
        check_sha256(key, self._hash(key), sha256)

    def list(self, prefix: str) -> Iterator[Stored]:
        for seen in self.survey(prefix):
            # Listings carry no metadata: it takes one more request per object.
            if stored := self.stat(seen.key):
                yield stored

    def survey(self, prefix: str) -> Iterator[Seen]:
        return self._bucket.list(validate_prefix(prefix))

    def delete(self, key: str, check: Callable[[], None] | None = None) -> None:
        if check is not None:
            check()
        self._bucket.delete(validate_key(key))

    @contextmanager
    def local_path(self, key: str, sha256: str | None = None) -> Iterator[Path]:
        expected = sha256 or self._existing(key).sha256
        with self._cache.file(expected, lambda path: self._download(key, expected, path)) as path:
            yield path

    def _download(self, key: str, sha256: str, path: Path) -> int:
        with self._bucket.read(validate_key(key)) as source, path.open("wb") as sink:
            actual, size_bytes = copy_hashed(source, sink)
        check_sha256(key, actual, sha256)
        return size_bytes

    def _existing(self, key: str) -> Stored:
        stored = self.stat(key)
        if stored is None:
            raise ArtifactMissing(f"{key} is not in the store", key=key)
        return stored

    def _hash(self, key: str) -> str:
        with self._bucket.read(validate_key(key)) as stream:
            return sha256_of(stream)


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
