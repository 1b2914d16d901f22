"""Where bytes lie: a folder here, any S3 in `s3.py`. A key that exists is complete and never changes."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from morula.common.cache import DEFAULT_CACHE_BYTES
from morula.common.errors import ArtifactChanged, ArtifactMissing, InvalidArgument, KeyInvalid, Unimplemented
from morula.common.keys import key_problem, validate_key
from morula.common.records import FileState, Record, Records
from morula.common.room import is_unwritable, telling_full
from morula.common.telemetry import log

CHUNK_BYTES = 1 << 20
MAX_ARTIFACT_BYTES = 512 << 20
ABANDONED_S = 24 * 3600
TICK_NS = 50_000_000
"""Longer than a tick of any kernel's clock of file times, within which two writes look like one."""
LARGE_BYTES = 16 << 20
KEPT_COUNT = 1 << 16

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
        """Sees to it that these very bytes lie there, if need be by reading all: ArtifactMissing or ArtifactChanged."""

    def list(self, prefix: str) -> Iterator[Stored]:
        """What was written under keys that begin with the prefix, in key order, whether or not it is still so."""

    def survey(self, prefix: str) -> Iterator[Seen]:
        """What lies under keys that begin with the prefix, in any order, at the cost of a listing."""

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
    leaves nothing when the process dies before it. Its digest is written down before that, and is from then on what
    the object has to be: bytes are read only in a state of the file in which they were seen to have this digest. Only
    an object that was laid here by hand is taken as it is found, once. Temporary files, locks and digests lie below
    `.morula`, which no key can reach.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self._root = root.resolve()
        own = self._root / ".morula"
        self._records = Records(own / "sha256", own / "locks", own / "temporary")
        self._proved: dict[str, Record] = {}
        _sweep(own / "temporary")

    def put(self, key: str, source: Source) -> Stored:
        path = self._path(key)
        if existing := self.stat(key):
            return existing
        full = telling_full(self._root, f"write {key}", "make room there and try again")
        with full, self._records.temporary_file() as name:
            sha256, size_bytes = _write_durably(name, source)
            while not self._link(key, sha256, name, path):
                if winner := self.stat(key):
                    return winner
        self._prove_large(key, path, sha256, size_bytes)
        return Stored(key, sha256, size_bytes, created=True)

    def put_large(self, key: str, source: Source) -> Stored:
        return self.put(key, source)

    def get(self, key: str, sha256: str | None = None) -> bytes:
        with self._opened(key) as stream:
            expected = sha256 or self._seen(key, stream).sha256
            stream.seek(0)
            content = stream.read()
        check_sha256(key, hashlib.sha256(content).hexdigest(), expected)
        return content

    @contextmanager
    def open(self, key: str, sha256: str | None = None) -> Iterator[BinaryIO]:
        with self._opened(key) as stream:
            stored = self._seen(key, stream)
            check_sha256(key, stored.sha256, sha256 or stored.sha256)
            stream.seek(0)
            yield stream

    def stat(self, key: str) -> Stored | None:
        path = self._path(key)
        try:
            return self._stored(key, path) if path.is_file() else None
        except (FileNotFoundError, ArtifactMissing):  # deleted meanwhile
            return None

    def verify(self, key: str, sha256: str) -> None:
        check_sha256(key, self._existing(key).sha256, sha256)

    def list(self, prefix: str) -> Iterator[Stored]:
        folder, _, _ = validate_prefix(prefix).rpartition("/")
        for path in sorted(self._files(self._root / folder), key=self._key_of):
            key = self._key_of(path)
            if key.startswith(prefix) and (stored := self._written(key, path)):
                yield stored

    def survey(self, prefix: str) -> Iterator[Seen]:
        folder, _, _ = validate_prefix(prefix).rpartition("/")
        for path in self._files(self._root / folder):
            key = self._key_of(path)
            if key.startswith(prefix):
                with suppress(FileNotFoundError):  # deleted meanwhile
                    found = path.stat()
                    yield Seen(key, found.st_size, found.st_mtime)

    def delete(self, key: str) -> None:
        path = self._path(key)
        if path.is_file():
            with self._records.locked(key):
                path.unlink(missing_ok=True)
                self._records.forget(key)

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

    def _link(self, key: str, sha256: str, temporary: Path, path: Path) -> bool:
        """Name the file; False where the name is taken."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise KeyInvalid(f"a beginning of {key} is an object itself") from error
        with self._records.locked(key):
            if path.is_file():
                return False
            if path.exists():
                raise KeyInvalid(f"{key} is the beginning of other keys")
            # First what the object is, then the object: one that is here without a record was laid here by hand.
            self._records.write(key, Record(sha256))
            os.link(temporary, path)
        _sync_folder(path.parent)
        return True

    @contextmanager
    def _opened(self, key: str) -> Iterator[BufferedReader]:
        """The file as it is found."""
        try:
            stream = self._path(key).open("rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise ArtifactMissing(f"{key} is not in the store", key=key) from error
        with stream:
            yield stream

    def _existing(self, key: str) -> Stored:
        stored = self.stat(key)
        if stored is None:
            raise ArtifactMissing(f"{key} is not in the store", key=key)
        return stored

    def _stored(self, key: str, path: Path) -> Stored:
        if recalled := self._recalled(key, path.stat()):
            return recalled
        with path.open("rb") as stream:
            return self._prove(key, stream)

    def _written(self, key: str, path: Path) -> Stored | None:
        """What was written there, whether or not it is still so."""
        try:
            record = self._records.read(key)
            return Stored(key, record.sha256, path.stat().st_size) if record else self._stored(key, path)
        except (FileNotFoundError, ArtifactMissing):  # deleted meanwhile
            return None

    def _recalled(self, key: str, found: os.stat_result) -> Stored | None:
        """The object, if its file is as it was when its bytes were last seen to be right."""
        state = FileState.of(found)
        record = self._proved.get(key)
        if record is None or record.proved != state:
            record = self._records.read(key)
        if record is None or record.proved != state:
            return None
        self._keep(key, record)
        return Stored(key, record.sha256, state.size_bytes)

    def _seen(self, key: str, stream: BufferedReader) -> Stored:
        return self._recalled(key, os.fstat(stream.fileno())) or self._prove(key, stream)

    def _prove(self, key: str, stream: BufferedReader) -> Stored:
        """The object, if its bytes have the digest with which it was written."""
        began_ns = self._clock_ns()
        state = FileState.of(os.fstat(stream.fileno()))
        actual = hashlib.file_digest(stream, "sha256").hexdigest()
        record = self._records.read(key)
        if record is not None and actual != record.sha256:
            if self._replaced(key, state):
                raise ArtifactMissing(f"{key} was deleted while it was read", key=key)
            check_sha256(key, actual, record.sha256)
        # A write within one tick of the clock may leave the times as they are: so young a state proves nothing later.
        unchanged = FileState.of(os.fstat(stream.fileno())) == state
        settled = began_ns is not None and unchanged and state.ctime_ns + TICK_NS < began_ns
        self._remember(key, Record(actual, state if settled else None), state)
        return Stored(key, actual, state.size_bytes)

    def _prove_large(self, key: str, path: Path, sha256: str, size_bytes: int) -> None:
        """What is large is seen to have settled just after it was written, which spares reading all of it again."""
        if size_bytes < LARGE_BYTES:
            return
        before = FileState.of(path.stat())
        time.sleep(TICK_NS / 1e9)
        if FileState.of(path.stat()) == before:
            self._remember(key, Record(sha256, before), before)

    def _replaced(self, key: str, state: FileState) -> bool:
        try:
            return self._path(key).stat().st_ino != state.inode
        except FileNotFoundError:
            return True

    def _clock_ns(self) -> int | None:
        try:
            return self._records.clock_ns()
        except OSError as error:
            if not is_unwritable(error):
                raise
            return None

    def _remember(self, key: str, seen: Record, state: FileState) -> None:
        """Spares work only: where nothing can be written, what can be read is hashed each time."""
        try:
            with self._records.locked(key):
                known = self._records.read(key)
                if known is None and self._replaced(key, state):
                    return
                if known is None or (known.sha256 == seen.sha256 and seen.proved is not None):
                    self._records.write(key, seen)
        except OSError as error:
            if not is_unwritable(error):
                raise
        self._keep(key, seen)

    def _keep(self, key: str, record: Record) -> None:
        if len(self._proved) >= KEPT_COUNT:
            self._proved.clear()
        self._proved[key] = record

    def _files(self, folder: Path) -> Iterator[Path]:
        for parent, folders, files in os.walk(folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            paths = (Path(parent) / name for name in files)
            # What no key can name did not come through this store: links, hidden files.
            yield from (path for path in paths if not path.is_symlink() and not key_problem(self._key_of(path)))

    def _key_of(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


def _write_durably(path: Path, source: Source) -> tuple[str, int]:
    with path.open("wb") as sink:
        written = copy_hashed(source, sink)
        sink.flush()
        os.fsync(sink.fileno())
    return written


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
