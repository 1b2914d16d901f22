"""What a test needs beyond the repository: skipped with the command that installs it, or (in CI) a failure."""

from __future__ import annotations

import os
import random
import shutil
import socket
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import pytest

SERVER_PORTS = range(20_000, 32_000)


def require(present: object, what: str, command: str) -> None:
    """Skips the test where something is missing; fails it where MORULA_REQUIRE=all says that all must be there."""
    if present:
        return
    reason = f"{what} is not there: {command}"
    if os.environ.get("MORULA_REQUIRE") == "all":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def program(name: str, *folders: Path) -> str | None:
    """Path of a program, looked for in folders first."""
    found = [str(folder / name) for folder in folders if (folder / name).is_file()]
    return found[0] if found else shutil.which(name)


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody listens on, all different.

    They lie below those that the kernel hands out, so that nothing that connects takes one before its server does.
    """
    candidates = random.sample(SERVER_PORTS, len(SERVER_PORTS))
    return list(islice(filter(_is_free, candidates), count))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def networks() -> None:
    """Skips a whole module of tests where what networks need is not installed."""
    missing = [name for name in ("torch", "cellpose") if find_spec(name) is None]
    if missing and os.environ.get("MORULA_REQUIRE") == "all":
        pytest.fail(f"not installed: {', '.join(missing)}", pytrace=False)
    if missing:
        reason = f"not installed: {', '.join(missing)}; they come with the extra `networks` (make test installs it)"
        pytest.skip(reason, allow_module_level=True)
