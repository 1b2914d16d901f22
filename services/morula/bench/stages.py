"""The stages that can be measured."""

from __future__ import annotations

import importlib

from rich.console import Console

from morula.bench.report import Report
from morula.onebox.failures import WrongUse

SPEAKING = "pipeline"
STAGES = (SPEAKING, "labelling", "tiler", "segmenter", "seams", "nuclei")


def measure(stage: str, console: Console) -> Report:
    """Measures one stage by name, which is that of its module; what the others need may not be installed."""
    if stage not in STAGES:
        raise WrongUse(f"there is no stage {stage!r} to measure; there are: {', '.join(STAGES)}")
    run = importlib.import_module(f"{__package__}.{stage}").run
    report: Report = run(console) if stage == SPEAKING else run()
    return report
