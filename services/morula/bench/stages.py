"""The stages that can be measured."""

from __future__ import annotations

from rich.console import Console

from morula.bench import labelling, nuclei, pipeline, seams, segmenter, tiler
from morula.bench.report import Report
from morula.onebox.failures import WrongUse


def measure(stage: str, console: Console) -> Report:
    """Measures one stage by name."""
    stages = {
        "pipeline": lambda: pipeline.run(console),
        "labelling": labelling.run,
        "tiler": tiler.run,
        "segmenter": segmenter.run,
        "seams": seams.run,
        "nuclei": nuclei.run,
    }
    if stage not in stages:
        raise WrongUse(f"there is no stage {stage!r} to measure; there are: {', '.join(stages)}")
    return stages[stage]()
