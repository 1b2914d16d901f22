"""Where one machine keeps everything, and the lock that lets one supervisor at a time use it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

from morula.onebox.failures import Failure

Verb = Literal["serve", "run", "demo"]
GLANCE_S = 1.0
"""How long somebody who only looks whether the folder is held may be in the way."""


def default_data_dir() -> Path:
    """`morula` below $XDG_DATA_HOME, which is `~/.local/share` unless set."""
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "morula"


@dataclass(frozen=True)
class Holder:
    """Who has the folder open; `url` is set once it takes jobs of others."""

    pid: int
    verb: Verb
    url: str | None


@dataclass(frozen=True)
class KeptRun:
    """A finished run that the folder still has."""

    job_id: str
    labelling_id: str | None
    """None where there was nothing to label."""
    stain: str | None = None
    """What its slide is stained with, as is known now."""


class DataFolder:
    """The objects, the database and the logs of one machine."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        self.objects = self.root / "objects"
        self.database = self.root / "morula.db"
        self.logs = self.root / "logs"
        self.scratch = self.root / "scratch"
        self.weights = Path(os.environ.get("MORULA_WEIGHTS_DIR") or self.root / "weights")
        self.metrics = self.root / "metrics.json"
        """Where the numbers of what runs now are read, in the form of Prometheus's `file_sd_configs`."""
        self._lock = self.root / "lock"

    def make(self) -> None:
        """Makes the folder, readable by its owner only: slides are patients' tissue."""
        try:
            for folder in (self.root, self.objects, self.logs, self.scratch):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise Failure(
                f"cannot make {error.filename}: {error.strerror}; choose another folder with --data"
            ) from error

    def clear(self) -> None:
        """Removes everything in the folder, unless somebody uses it."""
        if self.holder():
            raise Failure(self._held_message())
        if self.root.exists():
            shutil.rmtree(self.root)

    def kept_run(self, slide_digest: str, result_digest: str) -> KeptRun | None:
        """The run of this slide that came to this result; None where it was deleted or made elsewhere."""
        query = (
            "SELECT job.id, job.labelling_id, slide.stain FROM job JOIN slide ON slide.id = job.slide_id "
            "WHERE slide.digest = ? AND job.result_digest = ? AND job.state = 'succeeded' ORDER BY job.id DESC"
        )
        try:
            with closing(sqlite3.connect(f"{self.database.as_uri()}?mode=ro", uri=True, timeout=GLANCE_S)) as database:
                row = database.execute(query, (slide_digest, result_digest)).fetchone()
        except sqlite3.OperationalError:
            return None  # The database is missing or cannot be read now: the run then finds out itself.
        return KeptRun(*row) if row else None

    @contextmanager
    def locked(self, verb: Verb) -> Iterator[None]:
        """Holds the folder; the kernel lets go of it even after kill -9."""
        self.make()
        with self._lock.open("a+", encoding="utf-8") as lock:
            if not _taken(lock):
                raise Failure(self._held_message())
            # The holder before us is gone; after kill -9 its temporary files are still here.
            shutil.rmtree(self.scratch, ignore_errors=True)
            self.make()
            self.announce(Holder(os.getpid(), verb, None))
            try:
                yield
            finally:
                self._lock.write_text("")

    def announce(self, holder: Holder) -> None:
        """Says who holds the folder. Written in place: another file would be another lock."""
        self._lock.write_text(json.dumps(vars(holder)))

    def holder(self) -> Holder | None:
        """Who has the folder open now, if anybody."""
        if not self._lock.exists():
            return None
        with self._lock.open("r+", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                text = lock.read()
                return Holder(**json.loads(text)) if text else Holder(0, "run", None)
        return None

    def _held_message(self) -> str:
        holder = self.holder()
        who = f"morula {holder.verb}, process {holder.pid}" if holder and holder.pid else "another morula"
        return f"{self.root} is in use by {who}; stop it, or choose another folder with --data"


def _taken(lock: TextIO) -> bool:
    """Takes the lock, unless somebody keeps it."""
    deadline = time.monotonic() + GLANCE_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(GLANCE_S / 20)
        else:
            return True
