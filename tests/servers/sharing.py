"""Which files one worker runs after each other, because they share what is costly to start."""

from __future__ import annotations

from xdist.scheduler.loadfile import LoadFileScheduling

PAGE = "tests/web/"


class SharedServers(LoadFileScheduling):
    """By file, but for the page's, which share a `morula serve` and a browser."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return PAGE if file.startswith(PAGE) else file
