"""The stages that can be measured."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from morula.bench.report import Report
from morula.onebox.failures import WrongUse

SPEAKING = "pipeline"
TAKES_VECTORS, TAKES_OTHERS = "labelling", "quality"
TAKES_CELLS = ("clusterer", "metrics")
STAGES = (SPEAKING, TAKES_VECTORS, "tiler", "segmenter", "embedder", "seams", "nuclei", TAKES_OTHERS, *TAKES_CELLS)


def measure(
    stage: str,
    console: Console,
    vectors: Path | None = None,
    truth: Path | None = None,
    cells: int | None = None,
    others: Sequence[str] = (),
) -> Report:
    """Measures one stage by name, which is that of its module; what the others need may not be installed.

    One stage measures vectors of somebody's own where they are named, with their truth; two so many cells on disk; one
    other ways to cluster beside ours.
    """
    if stage not in STAGES:
        raise WrongUse(f"there is no stage {stage!r} to measure; there are: {', '.join(STAGES)}")
    own: dict[str, object] = {"vectors": vectors, "truth": truth} if vectors or truth else {}
    if own and (stage != TAKES_VECTORS or None in own.values()):
        raise WrongUse(f"--vectors and --truth belong together, and to {TAKES_VECTORS}")
    if cells is not None and stage not in TAKES_CELLS:
        raise WrongUse(f"--cells belongs to {' and '.join(TAKES_CELLS)}")
    if others and stage != TAKES_OTHERS:
        raise WrongUse(f"--with belongs to {TAKES_OTHERS}")
    own |= {"cells": cells} if cells is not None else {}
    own |= {"others": others} if others else {}
    run = importlib.import_module(f"{__package__}.{stage}").run
    report: Report = run(console) if stage == SPEAKING else run(**own)
    return report
