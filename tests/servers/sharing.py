"""Which files one worker runs after each other, because they share what is costly to start."""

from __future__ import annotations

from xdist.scheduler.loadfile import LoadFileScheduling

PAGE = "tests/web/"
S3 = (
    "tests/contract/test_rest_evaluations.py",
    *(
        f"tests/integration/test_{name}.py"
        for name in (
            "gateway_additions",
            "gateway_away",
            "gateway_deletion",
            "gateway_pipeline",
            "gateway_repair",
            "gateway_splits",
            "gateway_takeover",
            "gateway_upkeep",
            "servers",
            "store",
            "tiler_disks",
        )
    ),
)


class SharedServers(LoadFileScheduling):
    """By file, but for the page's, which share a `morula serve` and a browser, and for those that need S3."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        if file.startswith(PAGE):
            return PAGE
        return "S3" if file in S3 else file
