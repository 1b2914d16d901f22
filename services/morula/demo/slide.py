"""The demonstration's slide."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from morula.onebox.progress import counted
from morula.synth import Truth, make_slide

SIDE_PX = 4096
SEED = 2604
"""Of the demonstration alone: neither tests nor tuning use it."""


def demo_slide(folder: Path, console: Console) -> Truth:
    """Paints the slide and its truth."""
    with counted("Painting", console) as progress:
        return make_slide(folder / "demo.tiff", SIDE_PX, SIDE_PX, SEED, progress)
