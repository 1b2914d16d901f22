"""What verbs share: the folder they work on, and results for people and for machines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from morula.onebox.folder import DataFolder, default_data_dir

Data = Annotated[
    Path | None, typer.Option(help="Folder of objects, database and logs.", show_default="below $XDG_DATA_HOME")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def folder_of(data: Path | None) -> DataFolder:
    """The folder that was named, or everybody's."""
    return DataFolder(data or default_data_dir())


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on standard output."""
    typer.echo(json.dumps(value, indent=2, sort_keys=False))


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on standard output."""
    table = Table(box=None, header_style="bold")
    for place, word in enumerate(head):
        # The first column names what the row is of: whoever reads it types the name.
        table.add_column(word, overflow="fold", no_wrap=place == 0)
    for row in rows:
        table.add_row(*row)
    Console(highlight=False).print(table)


def console() -> Console:
    """Where people read progress, as it is: names in it are not ours. Results go to standard output."""
    return Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


def in_words(size_bytes: int) -> str:
    """A size as people read it."""
    size, unit = float(size_bytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:,.0f} {unit}" if unit == "B" or size >= 100 else f"{size:,.1f} {unit}"
