"""A disk so small that it can really be full."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from morula.common.disk_space import is_full
from tests.servers.require import require


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """A file system of its own in the folder, in memory."""
    mount = shutil.which("mount")
    folder.mkdir(exist_ok=True)
    command = [mount or "mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
    is_mounted = mount and not os.geteuid() and not subprocess.run(command, capture_output=True, check=False).returncode
    require(is_mounted, "a file system that can be full", "to mount one takes root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def filled(folder: Path, left_bytes: int = 0) -> Iterator[None]:
    """The disk is full but for so much, while the context lasts."""
    filler = folder / ".filler"
    try:
        with filler.open("wb", buffering=0) as file:
            file.write(bytes(max(0, shutil.disk_usage(folder).free - left_bytes)))
    except OSError as error:
        if not is_full(error):  # Full all the same: others wrote there meanwhile.
            filler.unlink()
            raise
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """The disk can be read only, while the context lasts."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
