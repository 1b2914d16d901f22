"""The output of a program, kept in a file of limited size and in the one before it.

The program writes into a pipe: what it wrote before it was killed is still in the pipe, and is read to its end.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

LOG_BYTES = 8 << 20
READ_BYTES = 64 << 10


class Log:
    """The log of one program, of all its processes one after the other."""

    def __init__(self, path: Path, notify: Callable[[str], None]) -> None:
        self.path = path
        self._older = path.with_suffix(".log.1")
        self._notify = notify
        self._guard = threading.Lock()
        self._is_lost = False

    def take(self) -> tuple[int, threading.Thread]:
        """The writing end of a new pipe, and the thread that reads it until nobody can write there any more."""
        reading, writing = os.pipe()
        reader = threading.Thread(target=self._read, args=(reading,), name=f"log-{self.path.stem}", daemon=True)
        reader.start()
        return writing, reader

    def last_line(self) -> str:
        """The last lines, for people."""
        for path in (self.path, self._older):
            lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines() if path.exists() else []
            if lines:
                return lines[-1][:300]
        return "it says nothing"

    def _read(self, reading: int) -> None:
        with os.fdopen(reading, "rb", buffering=0) as pipe:
            while chunk := pipe.read(READ_BYTES):
                with self._guard:
                    self._keep(chunk)

    def _keep(self, chunk: bytes) -> None:
        """Appends to the log. Never waits for a full disk: a program whose pipe is not read stands still."""
        try:
            size = self.path.stat().st_size if self.path.exists() else 0
            if size + len(chunk) > LOG_BYTES:
                # Do not split a line between two files.
                end = chunk.find(b"\n") + 1
                self._append(chunk[:end])
                self.path.replace(self._older)
                chunk = chunk[end:]
            self._append(chunk)
            self._is_lost = False
        except OSError as error:
            if not self._is_lost:
                self._notify(
                    f"the log {self.path} cannot be written ({error.strerror}); what is written meanwhile is lost"
                )
            self._is_lost = True

    def _append(self, chunk: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(chunk)
