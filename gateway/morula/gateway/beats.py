"""Whose beat stands still, by this process's clock and nobody else's."""

import time
from collections.abc import Hashable, Mapping


class Beats:
    """Beats as they were seen, by what they are about. Who did not look for `blind_s` has seen none stand still."""

    def __init__(self, blind_s: float) -> None:
        self._blind_s = blind_s
        self._since: dict[str, tuple[Hashable, float]] = {}
        self._looked = 0.0

    def look(self, marks: Mapping[str, Hashable]) -> None:
        """Take in how all of them stand now."""
        now = time.monotonic()
        before = self._since if now - self._looked < self._blind_s else {}
        self._looked = now
        self._since = {}
        for name, mark in marks.items():
            known = before.get(name)
            self._since[name] = known if known is not None and known[0] == mark else (mark, now)

    def still_s(self, name: str) -> float:
        """For how long nothing about it has changed."""
        return self._looked - self._since[name][1]
