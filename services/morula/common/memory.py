"""Memory of a process whose threads take turns at large arrays."""

from __future__ import annotations

import ctypes

_ARENA_MAX = -8  # M_ARENA_MAX of malloc.h


def share_one_heap() -> None:
    """All threads take memory from one heap, where the system's library knows several.

    Each heap keeps what its threads once needed, so that a service whose pools of threads come and go holds several
    times as much as it ever used at once. Called before there are threads.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, 1)
