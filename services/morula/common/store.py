"""Where bytes lie: a folder here, any S3 in `s3.py`. A key that exists is complete and never changes."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from morula.common.cache import DEFAULT_CACHE_BYTES
from morula.common.errors import ArtifactChanged, ArtifactMissing, InvalidArgument, KeyInvalid, Unimplemented
from morula.common.keys import key_problem, validate_key
from morula.common.room import is_full, telling_full

CHUNK_BYTES = 1 << 20
MAX_ARTIFACT_BYTES = 512 << 20
ABANDONED_S = 24 * 3600

Source = bytes | Path | BinaryIO


@dataclass(frozen=True)
class Stored:
    """An object that lies in the store."""

    key: str
    sha256: str
    size_bytes: int


class Store(Protocol):
    """Bytes by key. Calls block: servicers make them in slot threads or `asyncio.to_thread`."""

    def put(self, key: str, source: Source) -> Stored:
        """Writes if absent. The first writer wins; who comes later gets what lies there."""

    def put_large(self, key: str, source: Source) -> Stored:
        """As `put`, of any size, for keys that only equal bytes are written to: slides, exports."""

    def get(self, key: str, sha256: str | None = None) -> bytes:
        """All bytes; ArtifactChanged where they are not those that were written or that the caller names."""

    def open(self, key: str) -> AbstractContextManager[BinaryIO]:
        """The bytes as a stream."""

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """`length` bytes from `start`, fewer at the end of the object."""

    def stat(self, key: str) -> Stored | None:
        """What lies there, or None."""

    def list(self, prefix: str) -> Iterator[Stored]:
        """Objects whose key begins with the prefix, in key order."""

    def delete(self, key: str) -> None:
        """Deletes; an object that is not there is no error."""

    def presign_get(self, key: str, expires_s: int) -> str:
        """A URL that anyone may read for a while; Unimplemented where there is no server to read from."""

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
    if parts.scheme == "file" and parts.path.startswith("/") and not parts.netloc:
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
    raise InvalidArgument(f"{url!r} is no store: say file:///absolute/path or s3://bucket?endpoint=http://host:port")


class FolderStore:
    """A store in a folder of one file system.

    An object is written to a temporary file and then linked to its name: one atomic step that has one winner and
    leaves nothing when the process dies before it. Temporary files and digests lie below `.morula`, which no key
    can reach. A digest is remembered with the file's size and time, and taken anew where they differ.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self._root = root.resolve()
        self._temporary = self._root / ".morula" / "temporary"
        self._digests = self._root / ".morula" / "sha256"
        for folder in (self._temporary, self._digests):
            folder.mkdir(parents=True, exist_ok=True)
        _sweep(self._temporary)

    def put(self, key: str, source: Source) -> Stored:
        path = self._path(key)
        if path.is_file():
            return self._stored(key, path)
        with telling_full(self._root, f"write {key}", "make room there and try again"), self._temporary_file() as name:
            with name.open("wb") as sink:
                sha256, size_bytes = copy_hashed(source, sink)
                sink.flush()
                os.fsync(sink.fileno())
            if not self._link(name, path):
                return self._stored(key, path)
        self._remember(key, path, sha256)
        return Stored(key, sha256, size_bytes)

    def put_large(self, key: str, source: Source) -> Stored:
        return self.put(key, source)

    def get(self, key: str, sha256: str | None = None) -> bytes:
        with self.open(key) as stream:
            content = stream.read()
        expected = sha256 or self._existing(key).sha256
        check_sha256(key, hashlib.sha256(content).hexdigest(), expected)
        return content

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        try:
            stream = self._path(key).open("rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise ArtifactMissing(f"{key} is not in the store", key=key) from error
        with stream:
            yield stream

    def read_range(self, key: str, start: int, length: int) -> bytes:
        check_range(start, length)
        with self.open(key) as stream:
            stream.seek(start)
            return stream.read(length)

    def stat(self, key: str) -> Stored | None:
        path = self._path(key)
        try:
            return self._stored(key, path) if path.is_file() else None
        except FileNotFoundError:  # deleted meanwhile
            return None

    def list(self, prefix: str) -> Iterator[Stored]:
        folder, _, _ = validate_prefix(prefix).rpartition("/")
        for path in sorted(self._files(self._root / folder), key=self._key_of):
            key = self._key_of(path)
            if key.startswith(prefix) and (stored := self.stat(key)):
                yield stored

    def delete(self, key: str) -> None:
        path = self._path(key)
        self._digest_path(key).unlink(missing_ok=True)
        with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):  # no object
            path.unlink()

    def presign_get(self, key: str, expires_s: int) -> str:
        why = "a folder has no server that could answer a link"
        raise Unimplemented(f"{why} to {key} for {expires_s} s; read the object through the gateway")

    @contextmanager
    def local_path(self, key: str, sha256: str | None = None) -> Iterator[Path]:
        stored = self._existing(key)
        check_sha256(key, stored.sha256, sha256 or stored.sha256)
        yield self._path(key)

    def _path(self, key: str) -> Path:
        path = self._root / validate_key(key)
        if not path.resolve().is_relative_to(self._root):
            raise KeyInvalid(f"key {key!r} leads out of the store through a link")
        return path

    def _link(self, temporary: Path, path: Path) -> bool:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(temporary, path)
        except FileExistsError:
            if path.is_file():
                return False
            raise KeyInvalid(f"{path.relative_to(self._root)} is the beginning of other keys") from None
        except NotADirectoryError as error:
            raise KeyInvalid(f"a beginning of {path.relative_to(self._root)} is an object itself") from error
        _sync_folder(path.parent)
        return True

    def _existing(self, key: str) -> Stored:
        stored = self.stat(key)
        if stored is None:
            raise ArtifactMissing(f"{key} is not in the store", key=key)
        return stored

    def _stored(self, key: str, path: Path) -> Stored:
        state = path.stat()
        sha256 = self._recall(key, state)
        if sha256 is None:
            with path.open("rb") as stream:
                sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            self._remember(key, path, sha256)
        return Stored(key, sha256, state.st_size)

    def _recall(self, key: str, state: os.stat_result) -> str | None:
        try:
            known = json.loads(self._digest_path(key).read_bytes())
            fresh = (known["size_bytes"], known["time_ns"]) == (state.st_size, state.st_mtime_ns)
            return str(known["sha256"]) if fresh else None
        except (FileNotFoundError, ValueError, KeyError, TypeError):  # missing or torn: taken anew
            return None

    def _remember(self, key: str, path: Path, sha256: str) -> None:
        """Spares work only: on a full disk, where all can still be read, digests are taken anew each time."""
        state = path.stat()
        known = {"sha256": sha256, "size_bytes": state.st_size, "time_ns": state.st_mtime_ns}
        try:
            with self._temporary_file() as name:
                name.write_text(json.dumps(known), encoding="utf-8")
                name.replace(self._digest_path(key))
        except OSError as error:
            if not is_full(error):
                raise

    @contextmanager
    def _temporary_file(self) -> Iterator[Path]:
        """An empty file that is gone afterwards, unless it got another name."""
        handle, name = tempfile.mkstemp(dir=self._temporary)
        os.close(handle)
        try:
            yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)

    def _digest_path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()
        folder = self._digests / name[:2]
        folder.mkdir(exist_ok=True)
        return folder / name

    def _files(self, folder: Path) -> Iterator[Path]:
        for parent, folders, files in os.walk(folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            paths = (Path(parent) / name for name in files)
            # What no key can name did not come through this store: links, hidden files.
            yield from (path for path in paths if not path.is_symlink() and not key_problem(self._key_of(path)))

    def _key_of(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


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


def check_range(start: int, length: int) -> None:
    if start < 0 or length < 0:
        raise InvalidArgument(f"{length} bytes from {start} is no range")


def validate_prefix(prefix: str) -> str:
    """The prefix itself, if a key could begin with it."""
    if prefix:
        validate_key(prefix.removesuffix("/"))
    return prefix


def _sweep(folder: Path) -> None:
    """Removes what writers left that died; a day later none of them can still be at work."""
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # another process sweeps too
            if time.time() - path.stat().st_mtime > ABANDONED_S:
                path.unlink()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
