"""Artifacts that a person's next key will need again: mapped or parsed once, kept by key, few at a time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Cache(Generic[T]):
    """Holds at most `size` open things. What is used longest ago is closed first, but never while it is in use."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: OrderedDict[tuple[str, str], tuple[T, ExitStack]] = OrderedDict()
        self._lock = Lock()

    @contextmanager
    def open(self, key: tuple[str, str], opener: Callable[[], AbstractContextManager[T]]) -> Iterator[T]:
        """The thing of this key, opened if it is not here. The lock is held for the length of the use: one slot."""
        with self._lock:
            if key not in self._held:
                with ExitStack() as stack:
                    thing = stack.enter_context(opener())
                    self._held[key] = (thing, stack.pop_all())
            self._held.move_to_end(key)
            while len(self._held) > self._size:
                _, (_, oldest) = self._held.popitem(last=False)
                oldest.close()
            yield self._held[key][0]

    def close(self) -> None:
        """Closes all."""
        with self._lock:
            while self._held:
                _, (_, stack) = self._held.popitem()
                stack.close()
