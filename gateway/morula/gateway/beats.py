"""Finds beats that stand still, by the clock of this process alone."""

import time
from collections.abc import Hashable, Mapping


class Beats:
    """Beats as they were seen last. After `blind_s` without a look, all count as if they had just changed."""

    def __init__(self, blind_s: float) -> None:
        self._blind_s = blind_s
        self._since: dict[str, tuple[Hashable, float]] = {}
        self._looked = 0.0

    def look(self, marks: Mapping[str, Hashable]) -> None:
        """Note the present values of all beats."""
        now = time.monotonic()
        before = self._since if now - self._looked < self._blind_s else {}
        self._looked = now
        self._since = {}
        for name, mark in marks.items():
            known = before.get(name)
            self._since[name] = known if known is not None and known[0] == mark else (mark, now)

    def still_s(self, name: str) -> float:
        """For how long this beat has not changed."""
        return self._looked - self._since[name][1]
