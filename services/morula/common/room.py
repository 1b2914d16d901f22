"""A disk that is full is told as what it is, not as an error inside."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from morula.common.errors import StorageFull

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
LOCKED_UP = (errno.EROFS, errno.EACCES, errno.EPERM)


def is_full(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in FULL


def is_unwritable(error: BaseException) -> bool:
    """Whether nothing can be written there, full or read-only, though much can be read."""
    return is_full(error) or (isinstance(error, OSError) and error.errno in LOCKED_UP)


@contextmanager
def telling_full(folder: Path, wanted: str, remedy: str) -> Iterator[None]:
    """Turns the system's word that there is no room into an error that says where, for what, and what to do."""
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        free_bytes = shutil.disk_usage(folder).free
        raise StorageFull(f"no room to {wanted}: {free_bytes >> 20} MiB are free in {folder}; {remedy}") from error
