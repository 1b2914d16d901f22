"""Loops of a library are kept on disk, and never taken for others from the same source."""

from __future__ import annotations

from types import ModuleType

from numba import njit

from morula.common.compiled import keep


def twice(number: int) -> int:
    return 2 * number


def test_of_two_from_one_source_only_the_first_is_kept() -> None:
    library = ModuleType("library")
    library.first, library.other = njit(twice), njit(twice, fastmath=True)  # type: ignore[attr-defined]
    keep(library)
    assert library.first._cache.cache_path
    assert library.other._cache.cache_path is None
