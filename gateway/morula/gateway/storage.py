"""Tries whether the store and the scratch folder can be written to."""

import asyncio
import tempfile
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path

from morula.common.errors import MorulaError
from morula.common.store import Store
from morula.common.telemetry import log
from morula.gateway.shared import Shared

PATIENCE_S = 2.0
PROBE_BYTES = 4096


class Storage:
    """Tries each place at most once at a time, however many requests ask."""

    def __init__(self, store: Store, scratch: Path | None, project: str) -> None:
        self._store = store
        self._scratch = scratch
        self._project = project
        writes = {"scratch": self._write_scratch, "store": self._write_store}
        self._places = {
            name: Shared(partial(asyncio.to_thread, _succeeds, name, write)) for name, write in writes.items()
        }

    async def writable(self) -> dict[str, bool]:
        """Whether each place can be written to; False if it does not answer in time."""
        tries = {name: place.ask() for name, place in self._places.items()}
        await asyncio.wait(tries.values(), timeout=PATIENCE_S)
        return {name: attempt.done() and attempt.result() for name, attempt in tries.items()}

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
