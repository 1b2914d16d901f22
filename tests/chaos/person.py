"""Somebody who writes while things break: what was answered with "created" must be there afterwards."""

from __future__ import annotations

import threading
from types import TracebackType

from tests.chaos.door import Door

PAUSE_S = 0.3


class Person(threading.Thread):
    """Adds label sets, one after the other, until the block ends."""

    def __init__(self, door: Door) -> None:
        super().__init__(name="person", daemon=True)
        self._door = door
        self._stopping = threading.Event()
        self.acknowledged: list[str] = []

    def __enter__(self) -> Person:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        self._stopping.set()
        self.join()

    def run(self) -> None:
        while not self._stopping.wait(PAUSE_S):
            answer = self._door.ask_once("POST", "/v1/label-sets", json={"name": "Set", "classes": []})
            if answer is not None and answer.status_code == 201:
                self.acknowledged.append(answer.json()["id"])

    def lost(self) -> list[str]:
        """What was acknowledged and is not there."""
        answers = {set_id: self._door.ask("GET", f"/v1/label-sets/{set_id}") for set_id in self.acknowledged}
        return [set_id for set_id, answer in answers.items() if answer.status_code != 200]
