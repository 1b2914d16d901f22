"""`morula serve`: the page, until somebody says stop."""

from __future__ import annotations

import os
import re
import signal
import threading
import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from morula.onebox.failures import Failure, WrongUse
from morula.onebox.folder import DataFolder, Holder
from morula.onebox.machine import LocalMachine, free_port, open_machine

FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def named_folders(words: Sequence[str]) -> dict[str, Path]:
    """Folders that slides may be copied from by reference, each given as NAME=PATH."""
    folders: dict[str, Path] = {}
    for word in words:
        name, _, path = word.partition("=")
        if not path or not FOLDER_NAME.fullmatch(name):
            raise WrongUse(f"--folder {word}: write NAME=PATH, the name of letters, digits, '_', '.' and '-'")
        if name in folders:
            raise WrongUse(f"--folder {word}: there is a folder {name} already")
        if not os.access(path, os.R_OK | os.X_OK) or not Path(path).is_dir():
            raise WrongUse(f"--folder {word}: {path} cannot be read as a folder")
        folders[name] = Path(path).absolute()
    return folders


@contextmanager
def terminating() -> Iterator[None]:
    """SIGTERM ends the block the way Ctrl-C does: everything below it is stopped in order, and the verb has failed."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        raise Failure("stopped") from None
    finally:
        signal.signal(signal.SIGTERM, before)


def serve(folder: DataFolder, console: Console, *, port: int | None, opens: bool, folders: Mapping[str, Path]) -> None:
    """Runs everything on the folder and waits for Ctrl-C or SIGTERM."""
    port = free_port(port)
    with open_machine(folder, "serve", port=port, notify=console.print, folders=folders) as machine:
        folder.announce(Holder(os.getpid(), "serve", machine.url))
        console.print(f"Morula is at {machine.url} (data in {folder.root}); Ctrl-C stops it", soft_wrap=True)
        wait_at(machine, opens=opens)
    console.print("Stopped.")


def wait_at(machine: LocalMachine, *, opens: bool) -> None:
    """Opens the page where asked for and waits until interrupted."""
    if opens:
        webbrowser.open(machine.url)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        return
