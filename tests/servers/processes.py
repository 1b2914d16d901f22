"""Server processes of the tests: started by us, waited for, and ended by their own pid."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class ServerProcess:
    """One server; its output goes to a file, whose end is shown when it does not come up."""

    def __init__(self, command: list[str], output: Path, **options: Any) -> None:
        self._command = command
        self._output = output
        self._options = options
        self.start()

    def start(self) -> None:
        """Starts it, also once more after it was stopped."""
        with self._output.open("ab") as sink:
            self._process = subprocess.Popen(self._command, stdout=sink, stderr=subprocess.STDOUT, **self._options)

    def wait_until(self, ready: Callable[[], bool], timeout_s: float = 300.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                tail = self._output.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self._process.args!r} did not come up:\n{tail}")
            time.sleep(0.05)

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout_s: float = 5.0) -> None:
        self._process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
            return
        self._process.kill()
        self._process.wait()
