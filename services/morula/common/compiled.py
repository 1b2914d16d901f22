"""Loops compiled to machine code, kept on disk where there is a place for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from numba import njit

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """The function compiled at its first call, and run without the interpreter's lock."""
    return _compiled(function)


def fused(function: Callable[P, R]) -> Callable[P, R]:
    """As `compiled`; what is multiplied and added is rounded once where the processor can, as OpenCV does it."""
    return _compiled(function, fastmath={"contract"})


def _compiled(function: Callable[P, R], **options: Any) -> Callable[P, R]:
    made: Callable[P, R]
    try:
        made = njit(cache=True, nogil=True, **options)(function)
    except RuntimeError:  # numba can write its cache neither beside the code nor in the user's folders.
        made = njit(nogil=True, **options)(function)
    return made
