"""Times per stage of one run over the demonstration's slide, in a folder of its own: nothing is there before."""

from __future__ import annotations

import tempfile
import time
from datetime import datetime
from pathlib import Path

from rich.console import Console

from morula.bench.report import Case, Report
from morula.demo.flow import demonstrate, run_slide
from morula.demo.slide import demo_slide
from morula.onebox.client import Json
from morula.onebox.folder import DataFolder
from morula.onebox.machine import any_port, open_machine
from morula.onebox.progress import follow

TOTAL_BOUND = "<=300"
DETECTION_BOUND = ">=0.7"
ABOVE_CONSTANT = 0.3


def run(console: Console) -> Report:
    """Paints, starts, runs and labels; every part is a case."""
    with tempfile.TemporaryDirectory(prefix="morula-bench-") as scratch:
        began = time.monotonic()
        truth = demo_slide(Path(scratch), console)
        painted = time.monotonic()
        folder = DataFolder(Path(scratch) / "data")
        with open_machine(folder, "demo", port=any_port(), notify=console.print) as machine, machine.client() as client:
            started = time.monotonic()
            job = run_slide(client, truth.slide, lambda states: follow(states, console))
            shown = demonstrate(client, job, truth.cells)
            ended = time.monotonic()
    clusters, constant = shown.macro_f1_clusters, shown.macro_f1_constant
    return Report(
        "pipeline",
        [
            _seconds("paint the slide", painted - began),
            _seconds("start the services", started - painted),
            *(_seconds(stage["stage"], stage["seconds"]) for stage in job["stages"]),
            _seconds(f"label {shown.page_count} pages", shown.labelling_s),
            Case("all of the demonstration", round(ended - began, 2), "s", TOTAL_BOUND),
            Case("cells", job["cell_count"], "cells"),
            Case("speed from plan to tables", round(_speed(job), 1), "cells/s"),
            Case("detection F1", round(shown.match.detection_f1, 3), "", DETECTION_BOUND),
            Case("macro-F1 of the constant predictor", round(constant, 3), ""),
            Case("macro-F1 of cluster names", round(clusters, 3), ""),
            Case(
                "macro-F1 of labels", round(shown.macro_f1, 3), "", f">={max(clusters, constant + ABOVE_CONSTANT):.3f}"
            ),
        ],
    )


def _seconds(name: str, value: float) -> Case:
    return Case(name, round(value, 2), "s")


def _speed(job: Json) -> float:
    """Cells per second of wall time; stages overlap, so their sum would be too long."""
    began, ended = (datetime.fromisoformat(job[name]) for name in ("started_at", "finished_at"))
    return float(job["cell_count"] / (ended - began).total_seconds())
