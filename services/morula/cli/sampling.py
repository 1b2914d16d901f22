"""`morula sample`: tiles for people to label."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from morula.cli.printing import AsJson, console, print_json, print_table

REASONS = {"no_cells": "no cells", "budget": "budget spent"}


def sample(
    source: Annotated[
        list[Path],
        typer.Argument(help="Folders that `morula run` left, or the published system's *_annotations.json."),
    ],
    pictures: Annotated[
        list[Path], typer.Option(help="The slides, or the folder of the published system's tiles; again for more.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for batch_1, batch_2 .. and manifest.json.")],
    batches: Annotated[int, typer.Option(help="How many batches.")] = 3,
    cells: Annotated[int, typer.Option(help="About how many cells each has.")] = 1000,
    seed: Annotated[int, typer.Option(help="The same seed takes the same tiles.")] = 42,
    with_clusters: Annotated[
        bool, typer.Option("--with-clusters", help="Say what was found: who labels from such files is not blind.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Take tiles by chance, balanced between slides, for people to label without seeing what was found."""
    from morula.onebox.progress import counted
    from morula.onebox.sampling import Request, run

    request = Request(source, pictures, out, batches, cells, seed, with_clusters)
    with counted("Sampling", console()) as tell:
        found = run(request, tell)
    if as_json:
        print_json(found)
        return
    print_table(
        ("batch", "tiles", "cells"),
        [[name, f"{one['tiles']}", f"{one['cells']:,}"] for name, one in found["batches"].items()],
    )
    for one in found["left_out"]:
        typer.echo(
            f"Left out of {one['slide_id']}: {one['tiles']:,} tiles, {one['cells']:,} cells ({REASONS[one['reason']]})."
        )
    typer.echo(f"{found['total_tiles_sampled']} tiles, {found['total_cells_sampled']:,} cells: {out}")
