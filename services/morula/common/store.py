"""Where bytes lie: a folder in `folder.py`, any S3 in `s3.py`. A key that exists is complete and never changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from morula.common.cache import DEFAULT_CACHE_BYTES
from morula.common.errors import ArtifactChanged, InvalidArgument
from morula.common.keys import validate_key
from morula.common.telemetry import log

CHUNK_BYTES = 1 << 20
MAX_ARTIFACT_BYTES = 512 << 20

Source = bytes | Path | BinaryIO


@dataclass(frozen=True)
class Stored:
    """An object that lies in the store."""

    key: str
    sha256: str
    size_bytes: int
    created: bool = field(default=False, compare=False)
    """Whether the call that says so wrote it."""


class Seen(NamedTuple):
    """An object as a listing shows it: nobody read it."""

    key: str
    size_bytes: int
    modified_at: float
    """Seconds since 1970."""


class Store(Protocol):
    """Bytes by key. Calls block: servicers make them in slot threads or `asyncio.to_thread`."""

    def put(self, key: str, source: Source) -> Stored:
        """Writes if absent. The first writer wins; who comes later gets what lies there, or ArtifactChanged."""

    def put_large(self, key: str, source: Source) -> Stored:
        """As `put`, of any size, for keys that only equal bytes are written to: slides, exports.

        What lies there is verified.
        """

    def get(self, key: str, sha256: str | None = None) -> bytes:
        """All bytes; ArtifactChanged where they are not those that were written or that the caller names."""

    def open(self, key: str, sha256: str | None = None) -> AbstractContextManager[BinaryIO]:
        """The bytes as a stream, checked as `get` checks them before the first is given."""

    def stat(self, key: str) -> Stored | None:
        """What lies there, or None; ArtifactChanged where the store can tell without reading that it is damaged."""

    def verify(self, key: str, sha256: str) -> None:
        """Checks that exactly these bytes lie there, if need be by reading all; ArtifactMissing or ArtifactChanged."""

    def list(self, prefix: str) -> Iterator[Stored]:
        """What was written under keys that begin with the prefix, in key order, whether or not it is still so."""

    def survey(self, prefix: str) -> Iterator[Seen]:
        """What lies under keys that begin with the prefix, in any order, at the cost of a listing."""

    def delete(self, key: str, check: Callable[[], None] | None = None) -> None:
        """Deletes; an object that is not there is no error. `check` is asked last, and raises where it is to stay.

        Between the call and that moment this process may be frozen for long.
        """

    def local_path(self, key: str, sha256: str | None = None) -> AbstractContextManager[Path]:
        """The object as a file to read, while the context lasts."""


def open_store(
    url: str,
    *,
    access_key: str = "",
    secret_key: str = "",
    cache_dir: Path | None = None,
    cache_bytes: int = DEFAULT_CACHE_BYTES,
) -> Store:
    """`file:///absolute/path` or `s3://bucket?endpoint=http://host:port`."""
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.path.startswith("/") and not parts.netloc and not parts.query:
        from morula.common.folder import FolderStore

        return FolderStore(Path(unquote(parts.path)))
    if parts.scheme == "s3" and parts.netloc:
        # Imported here: the two S3 clients cost every laptop process half a second otherwise.
        from morula.common.s3 import S3Store

        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        endpoint = query.get("endpoint", "https://s3.amazonaws.com")
        region = query.get("region", "us-east-1")
        return S3Store(
            parts.netloc,
            endpoint,
            access_key,
            secret_key,
            region=region,
            cache_dir=cache_dir,
            cache_bytes=cache_bytes,
        )
    raise InvalidArgument(f"{url!r} is not a store: use file:///absolute/path or s3://bucket?endpoint=http://host:port")


def put_exactly(store: Store, key: str, source: bytes | Path, sha256: str) -> Stored:
    """Put bytes whose digest is part of the key, in the place of whatever else may lie there.

    ArtifactChanged, and nothing is left, where it is a file that has another digest by now.
    """
    try:
        stored = store.put_large(key, source)
        if stored.sha256 == sha256:
            return stored
    except ArtifactChanged as error:
        log.warning("damaged object replaced", key=key, detail=str(error))
    store.delete(key)
    stored = replace(store.put_large(key, source), created=False)
    if stored.sha256 != sha256:
        store.delete(key)
    check_sha256(key, stored.sha256, sha256)
    return stored


def copy_hashed(source: Source, sink: BinaryIO) -> tuple[str, int]:
    """Copies in chunks; returns sha256 and size."""
    if isinstance(source, Path):
        with source.open("rb") as stream:
            return copy_hashed(stream, sink)
    digest, size_bytes = hashlib.sha256(), 0
    for chunk in [source] if isinstance(source, bytes) else iter(lambda: source.read(CHUNK_BYTES), b""):
        digest.update(chunk)
        sink.write(chunk)
        size_bytes += len(chunk)
    return digest.hexdigest(), size_bytes


def check_sha256(key: str, actual: str, expected: str) -> None:
    if actual != expected:
        raise ArtifactChanged(f"{key} has the digest {actual[:12]}, not {expected[:12]}", key=key, sha256=actual)


def validate_prefix(prefix: str) -> str:
    """The prefix itself, if a key could begin with it."""
    if prefix:
        validate_key(prefix.removesuffix("/"))
    return prefix
