"""Answers that cost something to find, and that many ask for."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")

FRESH_S = 5.0
"""How long an answer is used again, so that frequent requests keep neither a disk nor the database busy."""


class Shared(Generic[T]):
    """An answer that is looked for at most once at a time, however many ask, and again once it is old."""

    def __init__(self, find: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._find = find
        self._began = 0.0
        self._search: asyncio.Task[T] | None = None

    def ask(self) -> asyncio.Task[T]:
        """The search that answers. It goes on for others if who waits for it goes away: wait by asyncio.wait."""
        if self._search is None or (self._search.done() and time.monotonic() - self._began > FRESH_S):
            self._search = asyncio.create_task(self._find())
            self._began = time.monotonic()
        return self._search
