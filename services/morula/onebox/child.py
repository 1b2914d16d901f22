"""Runs one service as a child that dies with its parent: `python -m morula.onebox.child PARENT_PID MODULE`."""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with(parent_pid: int) -> None:
    """Asks the kernel for SIGKILL once the parent is gone (Linux), however it went: no service outlives it."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        sys.exit("the parent was gone before the service began")


def main() -> None:
    parent_pid, module = int(sys.argv[1]), sys.argv[2]
    die_with(parent_pid)
    sys.argv[1:] = []
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
