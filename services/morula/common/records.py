"""What a folder's objects were written as: the digest that each had, and in which state its file was last proved."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class FileState(NamedTuple):
    """State of a file that changes whenever its bytes do: each write and each setting of its times moves `ctime`."""

    inode: int
    ctime_ns: int
    mtime_ns: int
    size_bytes: int

    @classmethod
    def of(cls, stat: os.stat_result) -> FileState:
        return cls(stat.st_ino, stat.st_ctime_ns, stat.st_mtime_ns, stat.st_size)


@dataclass(frozen=True)
class Record:
    """The digest of an object, and the state in which its file was seen to have it."""

    sha256: str
    proved: FileState | None = None


class Records:
    """Records by key, each a small file. Who changes an object or its record holds the key's lock."""

    def __init__(self, folder: Path, locks: Path, temporary: Path) -> None:
        self._folder = folder
        self._locks = locks
        self._temporary = temporary

    def create(self) -> None:
        """Makes the folders that are missing."""
        for needed in (self._folder, self._locks, self._temporary):
            needed.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def locked(self, key: str) -> Iterator[None]:
        """Keeps other writers of this key out, in this process and in others; one that dies lets go."""
        handle = os.open(self._locks / _name(key)[:2], os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def read(self, key: str) -> Record | None:
        """The record; None where there is none that can be read."""
        try:
            known = json.loads(self._path(key).read_bytes())
            proved = known.get("proved")
            return Record(str(known["sha256"]), FileState(*map(int, proved)) if proved else None)
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):  # missing or torn
            return None

    def write(self, key: str, record: Record) -> None:
        """Keep a record, which is on the disk once this returns."""
        path = self._path(key)
        path.parent.mkdir(exist_ok=True)
        with self.temporary_file() as name:
            with name.open("w", encoding="utf-8") as sink:
                json.dump({"sha256": record.sha256, "proved": record.proved}, sink)
                sink.flush()
                os.fsync(sink.fileno())
            name.replace(path)

    def forget(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def clock_ns(self) -> int:
        """The file system's time, which may be another machine's."""
        with self.temporary_file() as name:
            return name.stat().st_ctime_ns

    @contextmanager
    def temporary_file(self) -> Iterator[Path]:
        """An empty file that is deleted after the block, unless it got another name."""
        handle, name = tempfile.mkstemp(dir=self._temporary)
        os.close(handle)
        try:
            yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        name = _name(key)
        return self._folder / name[:2] / name


def _name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
