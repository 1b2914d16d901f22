"""Turns the errors of a disk that is full or cannot be written into errors that say so, instead of INTERNAL."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from morula.common.errors import MorulaError, StorageFull, Unavailable

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
LOCKED_UP = (errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)


def is_full(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in FULL


def is_unwritable(error: BaseException) -> bool:
    """Whether nothing can be written there, full or read-only, though much can be read."""
    return is_full(error) or (isinstance(error, OSError) and error.errno in LOCKED_UP)


@contextmanager
def telling_full(folder: Path, wanted: str, remedy: str) -> Iterator[None]:
    """Turns the OSError of a full or read-only disk into an error that says where, for what, and what to do."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            free_bytes = shutil.disk_usage(folder).free
            raise StorageFull(
                f"not enough disk space to {wanted}: {free_bytes >> 20} MiB are free in {folder}; {remedy}"
            ) from error
        if is_unwritable(error):
            raise Unavailable(f"cannot {wanted} in {folder}: {error.strerror}; {remedy}") from error
        raise


def as_storage_error(error: Exception, where: str) -> MorulaError | None:
    """What an error of the system says about the disk, if it does."""
    if is_full(error):
        return StorageFull(f"no disk space left {where}")
    return Unavailable(f"nothing can be written {where}") if is_unwritable(error) else None
