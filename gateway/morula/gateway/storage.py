"""Tries whether the store and the scratch folder can be written to."""

import asyncio
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from morula.common.errors import MorulaError
from morula.common.store import Store
from morula.common.telemetry import log

PATIENCE_S = 2.0
FRESH_S = 5.0
"""How long an answer is used again, so that frequent requests do not keep the disk busy."""
PROBE_BYTES = 4096


class Storage:
    """Tries each place at most once at a time, however many requests ask."""

    def __init__(self, store: Store, scratch: Path | None, project: str) -> None:
        self._store = store
        self._scratch = scratch
        self._project = project
        self._tries: dict[str, tuple[float, asyncio.Task[bool]]] = {}

    async def writable(self) -> dict[str, bool]:
        """Whether each place can be written to; False if it does not answer in time."""
        tries = {"scratch": self._try("scratch", self._write_scratch), "store": self._try("store", self._write_store)}
        await asyncio.wait(tries.values(), timeout=PATIENCE_S)
        return {name: attempt.done() and attempt.result() for name, attempt in tries.items()}

    def _try(self, name: str, write: Callable[[], None]) -> asyncio.Task[bool]:
        began, attempt = self._tries.get(name, (0.0, None))
        if attempt is None or (attempt.done() and time.monotonic() - began > FRESH_S):
            attempt = asyncio.create_task(asyncio.to_thread(_succeeds, name, write))
            self._tries[name] = time.monotonic(), attempt
        return attempt

    def _write_scratch(self) -> None:
        with tempfile.TemporaryFile(dir=self._scratch) as file:
            file.write(bytes(PROBE_BYTES))

    def _write_store(self) -> None:
        key = f"{self._project}/probe/{uuid.uuid4().hex}.bin"
        self._store.put(key, bytes(PROBE_BYTES))
        self._store.delete(key)


def _succeeds(name: str, write: Callable[[], None]) -> bool:
    try:
        write()
    except (OSError, MorulaError) as error:
        log.warning("nothing can be written", place=name, error=str(error))
        return False
    return True
