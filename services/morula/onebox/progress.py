"""Progress of a job for a person at a terminal; says nothing where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from morula.onebox.client import Json

STAGE_WORDS = {
    "plan": "Finding tissue",
    "cut": "Cutting tiles",
    "segment": "Finding cells",
    "embed": "Describing cells",
    "settle": "Settling seams",
    "cluster": "Grouping cells",
    "tables": "Writing tables",
}


def _bars(console: Console) -> Progress:
    columns = (TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)


@contextmanager
def counted(what: str, console: Console) -> Iterator[Callable[[int, int], None]]:
    """One bar for one piece of work, moved by (done, total)."""
    with _bars(console) as progress:
        bar = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)


def follow(states: Iterable[Json], console: Console) -> Json:
    """Shows every stage as a bar and returns the job as it ended."""
    job: Json = {}
    with _bars(console) as progress:
        bars = {}
        for job in states:
            for stage in job["stages"]:
                name = stage["stage"]
                if name not in bars and stage["total_count"]:
                    bars[name] = progress.add_task(STAGE_WORDS.get(name, name), total=stage["total_count"])
                if name in bars:
                    progress.update(bars[name], completed=stage["done_count"], total=stage["total_count"])
    return job
