"""`morula serve`: the page, until somebody says stop."""

from __future__ import annotations

import os
import signal
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from morula.onebox.failures import Failure
from morula.onebox.folder import DataFolder, Holder
from morula.onebox.house import House, free_port, open_house


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


def serve(folder: DataFolder, console: Console, *, port: int | None, opens: bool) -> None:
    """Runs everything on the folder and waits for Ctrl-C or SIGTERM."""
    port = free_port(port)
    with open_house(folder, "serve", port=port, notify=console.print) as house:
        folder.announce(Holder(os.getpid(), "serve", house.url))
        console.print(f"Morula is at {house.url} (data in {folder.root}); Ctrl-C stops it", soft_wrap=True)
        wait_at(house, opens=opens)
    console.print("Stopped.")


def wait_at(house: House, *, opens: bool) -> None:
    """Opens the page where asked for and waits until interrupted."""
    if opens:
        webbrowser.open(house.url)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        return
