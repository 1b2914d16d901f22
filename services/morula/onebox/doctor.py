"""`morula doctor`: whether everything needed is here, and what to do where it is not."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from morula.onebox.failures import Failure
from morula.onebox.folder import DataFolder
from morula.onebox.machine import SERVICES, free_port

FREE_BYTES = 2 << 30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    is_ok: bool
    detail: str


def examine(folder: DataFolder) -> list[Finding]:
    """Everything that a run needs, in the order in which it is needed."""
    checks: dict[str, Callable[[], str]] = {
        "python": _python,
        "services": _services,
        "slide readers": _readers,
        "page": _page,
        "data folder": lambda: _data(folder),
        "disk": lambda: _disk(folder),
        "port": lambda: str(free_port(None)),
    }
    return [_finding(name, check) for name, check in checks.items()]


def _finding(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, check())
    except (Failure, ImportError, OSError) as error:
        return Finding(name, False, str(error))


def _python() -> str:
    if not (3, 11) <= sys.version_info[:2] < (3, 14):
        raise Failure(f"Python {sys.version.split()[0]} is not 3.11 to 3.13: run make setup with another one")
    return f"{sys.version.split()[0]}, morula {importlib.metadata.version('morula')}"


def _services() -> str:
    missing = [name for name, module in {**SERVICES, "gateway": "morula.gateway"}.items() if not _is_there(module)]
    if missing:
        raise Failure(f"not installed: {', '.join(missing)}; run make setup")
    return ", ".join([*SERVICES, "gateway"])


def _is_there(module: str) -> bool:
    entry = module if "." in module.removeprefix("morula.") else f"{module}.__main__"
    return find_spec(entry) is not None


def _readers() -> str:
    versions = [
        f"{name} {importlib.metadata.version(name)}" for name in ("openslide-python", "openslide-bin", "tifffile")
    ]
    return ", ".join(versions)


def _page() -> str:
    spec = find_spec("morula.gateway")
    folders = spec.submodule_search_locations if spec else None
    if not any((Path(path) / "static" / "index.html").is_file() for path in folders or []):
        raise Failure("the page is not built: run make web")
    return "built"


def _data(folder: DataFolder) -> str:
    holder = folder.holder()
    if holder:
        return f"{folder.root}, in use by morula {holder.verb} (process {holder.pid})"
    folder.make()
    if not os.access(folder.root, os.W_OK):
        raise Failure(f"{folder.root} is not writable; choose another folder with --data")
    return str(folder.root)


def _disk(folder: DataFolder) -> str:
    place = next(path for path in (folder.root, *folder.root.parents) if path.exists())
    free = shutil.disk_usage(place).free
    if free < FREE_BYTES:
        raise Failure(f"{free / 2**30:.1f} GiB free at {place}, at least {FREE_BYTES >> 30} are needed")
    return f"{free / 2**30:.0f} GiB free"
