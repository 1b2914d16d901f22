"""`make demo`: makes a slide, runs it, labels ten pages, says how good that is, and leaves the page open."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from morula.demo.flow import Demonstration, demonstrate, run_slide
from morula.demo.slide import demo_slide
from morula.onebox.failures import guarded
from morula.onebox.folder import DataFolder
from morula.onebox.machine import free_port, open_machine
from morula.onebox.progress import follow
from morula.onebox.serve import terminating, wait_at

FOLDER = Path("build/demo")
SUMMARY = "summary.json"


def main() -> None:
    """Runs the demonstration; `--no-serve` ends it instead of leaving the page open."""
    parser = argparse.ArgumentParser(prog="python -m morula.demo", description=__doc__)
    parser.add_argument("--no-serve", dest="serves", action="store_false", help="end instead of leaving the page open")
    serves = parser.parse_args().serves
    console = Console(highlight=False, soft_wrap=True)
    with terminating():
        demo(console, serves=serves)


def demo(console: Console, *, serves: bool) -> None:
    """All of it as an annotator would, from nothing: what was labelled before would be in the figures."""
    folder = DataFolder(FOLDER / "data")
    folder.clear()
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / SUMMARY).unlink(missing_ok=True)
    began = time.monotonic()
    console.print("Painting a slide")
    truth = demo_slide(FOLDER, console)
    painted_s = time.monotonic() - began
    with (
        open_machine(folder, "demo", port=free_port(None), notify=console.print) as machine,
        machine.client() as client,
    ):
        console.print(f"Running {truth.slide} at {machine.url}")
        shown = demonstrate(client, run_slide(client, truth.slide, lambda states: follow(states, console)), truth.cells)
        seconds = {"synth": round(painted_s, 2), "total": round(time.monotonic() - began, 2)}
        _report(console, shown, seconds)
        if serves:
            console.print(f"Look at {machine.url}; Ctrl-C stops it")
            wait_at(machine, opens=True)


def _report(console: Console, shown: Demonstration, seconds: dict[str, float]) -> None:
    summary: dict[str, Any] = shown.summary()
    summary["seconds"] |= seconds
    (FOLDER / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    console.print(
        f"{summary['cells']:,} cells in {summary['clusters']} clusters; detection F1 {summary['detection_f1']:.2f}, "
        f"{summary['match_rate']:.0%} of the true cells found"
    )
    console.print(
        f"{summary['pages']} pages named, {summary['marks']} odd cells marked; macro-F1 of cells never shown:"
    )
    for words, name in (
        ("labels as they stand", "macro_f1"),
        ("names of clusters alone", "macro_f1_clusters"),
        ("the commonest class for all", "macro_f1_constant"),
    ):
        console.print(f"  {words:<28} {summary[name]:.2f}")
    console.print(f"labels of cells never shown: {summary['coverage']:.0%} have one; right among them:")
    console.print(f"  {'as the board claims':<28} {_claimed(summary['claimed'])}")
    console.print(f"  {'in truth':<28} {summary['accuracy']:.2f}")
    console.print(f"{seconds['total']:.0f} s in all; figures are in {FOLDER / SUMMARY}")


def _claimed(claim: dict[str, float] | None) -> str:
    if claim is None:
        return "nothing: too few pages were named"
    basis = f"{claim['cell_count']} cells on {claim['page_count']} pages held out"
    return f"{claim['accuracy']:.2f} ({claim['low']:.2f} to {claim['high']:.2f}, by {basis})"


if __name__ == "__main__":
    guarded(main)
