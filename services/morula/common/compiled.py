"""Loops compiled to machine code, kept on disk where there is a place for it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

from numba import njit
from numba.core.dispatcher import Dispatcher

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """The function compiled at its first call, and run without the interpreter's lock."""
    return _compiled(function)


def fused(function: Callable[P, R]) -> Callable[P, R]:
    """As `compiled`; what is multiplied and added is rounded once where the processor can, as OpenCV does it."""
    return _compiled(function, fastmath={"contract"})


def keep(library: ModuleType) -> None:
    """Has a library's loops kept on disk, too, where it would compile them anew in every process."""
    sources: set[object] = set()
    for function in vars(library).values():
        # What is kept is found by its source and not by its options: of two that differ in these, one may be.
        if isinstance(function, Dispatcher) and function.py_func not in sources:
            sources.add(function.py_func)
            with suppress(RuntimeError):  # As below.
                function.enable_caching()


def _compiled(function: Callable[P, R], **options: Any) -> Callable[P, R]:
    made: Callable[P, R]
    try:
        made = njit(cache=True, nogil=True, **options)(function)
    except RuntimeError:  # numba can write its cache neither beside the code nor in the user's folders.
        made = njit(nogil=True, **options)(function)
    return made
