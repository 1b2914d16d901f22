"""Objects of a bucket as files, while they are read and for as long as there is disk space."""

from __future__ import annotations

import shutil
import tempfile
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from morula.common.disk_space import is_full, telling_full
from morula.common.records import FileState

DEFAULT_CACHE_BYTES = 20 << 30
REMEDY = "free some space there or set MORULA_CACHE_DIR to a larger disk"


class FileCache:
    """Downloads by digest in a folder of our own; the least recently used go when it grows too large."""

    def __init__(self, folder: Path | None, limit_bytes: int) -> None:
        self._folder = folder
        self._private: Path | None = None
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    @contextmanager
    def file(self, sha256: str, download: Callable[[Path], int]) -> Iterator[Path]:
        """The file, fetched by `download` (which checks it and gives its size) unless it is here."""
        with self._lock:
            entry = self._entries.setdefault(sha256, _Entry(self._root() / sha256))
            self._entries.move_to_end(sha256)
            entry.readers += 1
        try:
            with entry.lock:
                if not entry.is_whole():
                    entry.path.unlink(missing_ok=True)  # A reader that has it open can go on reading it.
                    entry.size_bytes = self._fetch(entry.path, download) or 1
                    entry.state = FileState.of(entry.path.stat())
                    with self._lock:  # Evict here too, not only on return: a slide may stay open for hours.
                        self._evict(self._limit_bytes)
            yield entry.path
        finally:
            with self._lock:
                entry.readers -= 1
                self._evict(self._limit_bytes)

    def _fetch(self, path: Path, download: Callable[[Path], int]) -> int:
        """Downloads. On a full disk, deletes every file that nobody reads and tries once more."""
        try:
            return download(path)
        except OSError as error:
            if not is_full(error):
                raise
        path.unlink(missing_ok=True)
        with self._lock:
            self._evict(0)
        with telling_full(path.parent.parent, "fetch a file", REMEDY):
            try:
                return download(path)
            except OSError:
                path.unlink(missing_ok=True)
                raise

    def _root(self) -> Path:
        if self._private is None:
            if self._folder:
                self._folder.mkdir(parents=True, exist_ok=True)
            self._private = Path(tempfile.mkdtemp(prefix="morula-cache-", dir=self._folder))
            # Errors are ignored: whatever cleans /tmp may have deleted the folder already.
            weakref.finalize(self, shutil.rmtree, self._private, ignore_errors=True)
        return self._private

    def _evict(self, limit_bytes: int) -> None:
        total = sum(entry.size_bytes for entry in self._entries.values())
        for sha256, entry in list(self._entries.items()):
            if entry.readers or (entry.size_bytes and total <= limit_bytes):
                continue
            del self._entries[sha256]
            entry.path.unlink(missing_ok=True)
            total -= entry.size_bytes


class _Entry:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        self.readers = 0
        self.state: FileState | None = None
        self.lock = threading.Lock()

    def is_whole(self) -> bool:
        """Whether the file is here, as it was when it was fetched."""
        try:
            return self.state is not None and FileState.of(self.path.stat()) == self.state
        except FileNotFoundError:  # Something that cleans /tmp has deleted it already.
            return False
