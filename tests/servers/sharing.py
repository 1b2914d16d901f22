"""Which files one worker runs after each other, because they share what is costly to start."""

from __future__ import annotations

from xdist.scheduler.loadfile import LoadFileScheduling

PAGE = "tests/web/"
MACHINE = tuple(f"tests/e2e/test_{name}.py" for name in ("demo", "import", "inputs", "real_slide", "run", "suggest"))
"""Seven programs take ten seconds of a processor to start, and some for as long as they wait."""


class SharedServers(LoadFileScheduling):
    """By file, but for the page's, which share a `morula serve` and a browser, and those that share a whole machine."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        if file in MACHINE:
            return MACHINE[0]
        return PAGE if file.startswith(PAGE) else file
