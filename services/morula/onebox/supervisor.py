"""Keeps programs running: starts them, waits until they are healthy, restarts what dies, stops them in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from morula.onebox.failures import Failure
from morula.onebox.logs import Log

FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 15.0
STEADY_S = 60.0
"""A program that ran this long was well: its next restart waits no longer than the first."""
STARTS_BEFORE_GIVING_UP = 3
LAST_WORDS_S = 2.0
"""How long the end of a dead program's log is waited for: a helper of it may still hold the pipe."""


@dataclass(frozen=True)
class Program:
    """A Python module to keep running."""

    name: str
    module: str
    environment: dict[str, str]
    is_healthy: Callable[[], bool]
    stop_s: float
    """How long it may take to stop before it is killed."""
    at_start: Callable[[], dict[str, str]] = dict
    """Variables that are others at each start, beside those of the environment."""


class Keeper(threading.Thread):
    """One program. The thread that starts a process outlives it: the kernel ties the child to that very thread."""

    def __init__(self, program: Program, log: Path, notify: Callable[[str], None]) -> None:
        super().__init__(name=f"keeper-{program.name}", daemon=True)
        self.program = program
        self.log = Log(log, notify)
        self.exit_count = 0
        self._notify = notify
        self._stopping = threading.Event()
        self._guard = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process that runs now, or ran last."""
        process = self._process
        return process.pid if process else 0

    def run(self) -> None:
        delay_s = FIRST_DELAY_S
        while (started := self._start()) is not None:
            process, reader = started
            began = time.monotonic()
            code = process.wait()
            reader.join(LAST_WORDS_S)
            if self._stopping.is_set():
                return
            self.exit_count += 1
            if time.monotonic() - began > STEADY_S:
                delay_s = FIRST_DELAY_S
            self._notify(
                f"{self.program.name} {_how(code)}; starting it again in {delay_s:g} s, its log is {self.log.path}"
            )
            self._stopping.wait(delay_s)
            delay_s = min(delay_s * 2, LONGEST_DELAY_S)

    def _start(self) -> tuple[subprocess.Popen[bytes], threading.Thread] | None:
        with self._guard:
            if self._stopping.is_set():
                return None
            log, reader = self.log.take()
            try:
                self._process = subprocess.Popen(  # noqa: S603 our own interpreter and modules
                    [sys.executable, "-m", "morula.onebox.child", str(os.getpid()), self.program.module],
                    env=self.program.environment | self.program.at_start(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    # Ctrl-C in a terminal goes to the whole group: the supervisor alone decides who stops when.
                    start_new_session=True,
                )
            finally:
                os.close(log)
            return self._process, reader

    def begin_stop(self) -> None:
        """Asks the program to stop and does not wait."""
        with self._guard:
            self._stopping.set()
            self._signal(signal.SIGTERM)

    def finish_stop(self) -> None:
        """Waits for the program, and kills what does not stop in time."""
        self.join(self.program.stop_s)
        if self.is_alive():
            self._notify(f"{self.program.name} did not stop within {self.program.stop_s:g} s and was killed")
            self._signal(signal.SIGKILL)
            self.join()

    def _signal(self, number: signal.Signals) -> None:
        # The process leads a session of its own, so its helpers get the signal, too.
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


class Supervisor:
    """All programs of one machine; a context manager that leaves nothing running."""

    def __init__(self, programs: Sequence[Program], logs: Path, notify: Callable[[str], None]) -> None:
        self._notify = notify
        self._is_up = False
        self._keepers = {
            program.name: Keeper(program, logs / f"{program.name}.log", self._tell) for program in programs
        }

    def __enter__(self) -> Supervisor:
        for keeper in self._keepers.values():
            keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stops the last program, the front door, first, then all others at once."""
        *others, front_door = self._keepers.values()
        for group in ([front_door], others):
            for keeper in group:
                keeper.begin_stop()
            for keeper in group:
                keeper.finish_stop()

    def pid(self, name: str) -> int:
        """Process id of a program as it runs now."""
        return self._keepers[name].pid

    def wait_until_healthy(self, timeout_s: float = 120.0) -> None:
        """Returns when every program answers; raises with the reason where one cannot start."""
        deadline = time.monotonic() + timeout_s
        for keeper in self._keepers.values():
            while not keeper.program.is_healthy():
                if keeper.exit_count >= STARTS_BEFORE_GIVING_UP or time.monotonic() > deadline:
                    why, log = keeper.log.last_line(), keeper.log.path
                    raise Failure(f"{keeper.program.name} does not start: {why} (log: {log})")
                time.sleep(0.05)
        self._is_up = True

    def _tell(self, line: str) -> None:
        # A program that cannot start ends the command, which then prints its reason as the only line.
        if self._is_up:
            self._notify(line)


def _how(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
