"""A store in a folder of one file system."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from morula.common.disk_space import is_unwritable, telling_full
from morula.common.errors import ArtifactMissing, KeyInvalid, Unavailable
from morula.common.hashing import sha256_of
from morula.common.keys import key_problem, validate_key
from morula.common.records import FileState, Record, Records
from morula.common.store import Seen, Source, Stored, check_sha256, copy_hashed, validate_prefix

ABANDONED_S = 24 * 3600
TICK_NS = 50_000_000
"""Longer than a tick of any kernel's clock of file times, within which two writes look like one."""
LARGE_BYTES = 16 << 20
KEPT_COUNT = 1 << 16


class FolderStore:
    """A store in a folder of one file system.

    An object is written to a temporary file and then linked to its name: one atomic step that has one winner and
    leaves nothing when the process dies before it. Its digest is written down before that, and is from then on what
    the object has to be: bytes are read only in a state of the file in which they were seen to have this digest. Only
    an object that was put here by hand is taken as it is found, once. Temporary files, locks and digests lie below
    `.morula`, which no key can reach.

    A folder without `.morula` is that of a disk which is not mounted now: away, not empty. A store that is opened there
    meanwhile is another one; whose objects lie elsewhere knows it by its mark.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._own = self._root / ".morula"
        self._records = Records(self._own / "sha256", self._own / "locks", self._own / "temporary")
        self._proved: dict[str, Record] = {}
        self._records.create()
        _sweep(self._own / "temporary")

    def put(self, key: str, source: Source) -> Stored:
        path = self._path(key)
        if existing := self.stat(key):
            return existing
        full = telling_full(self._root, f"write {key}", "free some space there and try again")
        with self._here(), full, self._records.temporary_file() as name:
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
        with self._here(), suppress(FileNotFoundError, ArtifactMissing):  # deleted meanwhile
            if path.is_file():
                return self._stored(key, path)
        self._check_here()
        return None

    def verify(self, key: str, sha256: str) -> None:
        check_sha256(key, self._existing(key).sha256, sha256)

    def list(self, prefix: str) -> Iterator[Stored]:
        folder, _, _ = validate_prefix(prefix).rpartition("/")
        self._check_here()
        for path in sorted(self._files(self._root / folder), key=self._key_of):
            key = self._key_of(path)
            if key.startswith(prefix) and (stored := self._written(key, path)):
                yield stored

    def survey(self, prefix: str) -> Iterator[Seen]:
        folder, _, _ = validate_prefix(prefix).rpartition("/")
        self._check_here()
        for path in self._files(self._root / folder):
            key = self._key_of(path)
            if key.startswith(prefix):
                with suppress(FileNotFoundError):  # deleted meanwhile
                    stat = path.stat()
                    yield Seen(key, stat.st_size, stat.st_mtime)

    def delete(self, key: str, check: Callable[[], None] | None = None) -> None:
        path = self._path(key)
        full = telling_full(self._root, f"delete {key}", "see to it that it can be written, and try again")
        with self._here(), full:
            if path.is_file():
                with self._records.locked(key):
                    if check is not None:
                        check()
                    path.unlink(missing_ok=True)
                    self._records.forget(key)
        self._check_here()

    @contextmanager
    def local_path(self, key: str, sha256: str | None = None) -> Iterator[Path]:
        stored = self._existing(key)
        check_sha256(key, stored.sha256, sha256 or stored.sha256)
        yield self._path(key)

    @contextmanager
    def _here(self) -> Iterator[None]:
        """Raises Unavailable where the whole folder is away: its objects are not missing."""
        try:
            yield
        except (OSError, ArtifactMissing):
            self._check_here()
            raise

    def _check_here(self) -> None:
        if not self._own.is_dir():
            raise Unavailable("the folder of the store is not there: is its disk mounted?")

    def _path(self, key: str) -> Path:
        self._check_here()
        path = self._root / validate_key(key)
        if not path.resolve().is_relative_to(self._root):
            raise KeyInvalid(f"key {key!r} leads out of the store through a link")
        return path

    def _link(self, key: str, sha256: str, temporary: Path, path: Path) -> bool:
        """Name the file; False where the name is taken."""
        try:
            # Create the folders one by one: the store's own folder must not be created where its disk is missing.
            for parent in reversed(path.relative_to(self._root).parents[:-1]):
                (self._root / parent).mkdir(exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise KeyInvalid(f"a beginning of {key} is an object itself") from error
        with self._records.locked(key):
            if path.is_file():
                return False
            if path.exists():
                raise KeyInvalid(f"{key} is the beginning of other keys")
            # The record is written before the object: an object without a record was put here by hand.
            self._records.write(key, Record(sha256))
            os.link(temporary, path)
        _sync_folder(path.parent)
        return True

    @contextmanager
    def _opened(self, key: str) -> Iterator[BufferedReader]:
        """The file as it is found."""
        path = self._path(key)
        try:
            with self._here():
                stream = path.open("rb")
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
        """The object as it was written, whether or not its bytes are still the same."""
        try:
            record = self._records.read(key)
            return Stored(key, record.sha256, path.stat().st_size) if record else self._stored(key, path)
        except (FileNotFoundError, ArtifactMissing):  # deleted meanwhile
            return None

    def _recalled(self, key: str, stat: os.stat_result) -> Stored | None:
        """The object, if its file is as it was when its bytes were last seen to be right."""
        state = FileState.of(stat)
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
        with self._here():
            return self._proved_now(key, stream)

    def _proved_now(self, key: str, stream: BufferedReader) -> Stored:
        began_ns = self._clock_ns()
        state = FileState.of(os.fstat(stream.fileno()))
        actual = sha256_of(stream)
        record = self._records.read(key)
        if record is not None and actual != record.sha256:
            if self._replaced(key, state):
                raise ArtifactMissing(f"{key} was deleted while it was read", key=key)
            check_sha256(key, actual, record.sha256)
        # A second write within one tick of the clock leaves the times unchanged: a state this young proves nothing.
        unchanged = FileState.of(os.fstat(stream.fileno())) == state
        settled = began_ns is not None and unchanged and state.ctime_ns + TICK_NS < began_ns
        self._remember(key, Record(actual, state if settled else None), state)
        return Stored(key, actual, state.size_bytes)

    def _prove_large(self, key: str, path: Path, sha256: str, size_bytes: int) -> None:
        """Notes the state of a large file one tick after it was written: later its bytes need not be hashed again."""
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
        """Keeps the record to save work: where it cannot be written, the object is hashed at each reading."""
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
            # Links and hidden files have names that no key can have: they did not come through this store.
            yield from (path for path in paths if not path.is_symlink() and not key_problem(self._key_of(path)))

    def _key_of(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


def _write_durably(path: Path, source: Source) -> tuple[str, int]:
    with path.open("wb") as sink:
        written = copy_hashed(source, sink)
        sink.flush()
        os.fsync(sink.fileno())
    return written


def _sweep(folder: Path) -> None:
    """Deletes temporary files older than a day: their writers have died."""
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
