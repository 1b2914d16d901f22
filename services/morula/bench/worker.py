"""A service in a process of its own, asked over the wire."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

READY_S = 600.0


@contextmanager
def running(module: str, socket: Path, root: Path, **settings: str) -> Iterator[tuple[grpc.Channel, int]]:
    """A channel to `python -m module` over a store in a folder, and the process's id."""
    told = {"ADDRESS": f"unix:{socket}", "STORE_URL": root.as_uri(), "LOG_LEVEL": "ERROR", **settings}
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MORULA_")}
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and modules
        [sys.executable, "-m", module], env=plain | {f"MORULA_{name}": value for name, value in told.items()}
    )
    try:
        with grpc.insecure_channel(f"unix:{socket}") as channel:
            grpc.channel_ready_future(channel).result(timeout=READY_S)
            yield channel, process.pid
    finally:
        process.terminate()
        process.wait()


def peak_bytes(pid: int | str) -> int:
    """The most that a process ever had in memory, as the system counts it: pages of files that it maps, too."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return 1024 * int(peak)
