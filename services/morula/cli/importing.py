"""`morula import`: what the published system made, as slides of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from morula.cli.printing import AsJson, Data, console, folder_of, print_json
from morula.common.geometry import SCALE_RANGE_UM


def import_run(
    run: Annotated[Path, typer.Argument(help="Folder that a run of the published system wrote to.")],
    slide_mpp: Annotated[
        float,
        typer.Option(
            min=SCALE_RANGE_UM[0],
            max=SCALE_RANGE_UM[1],
            help="Microns per pixel of the scan, which no file of a run says.",
        ),
    ],
    embedder: Annotated[
        str | None, typer.Option(help="Model that describes the cells.", show_default="the preset's")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Bring a finished run of the published system: its tiles, cells, clusters, classes and labels of people.

    Its vectors were never kept, so cells are described anew; cells and clusters stay what they were.
    """
    from morula.onebox import importing
    from morula.onebox.serve import terminating

    with terminating():
        told = importing.run(importing.Request(run, slide_mpp, embedder), folder_of(data), console())
    if as_json:
        print_json(told)
        return
    for one in told["slides"]:
        typer.echo(f"{one['name']}: {one['cell_count']:,} cells, {one['class_count']:,} of them with a class")
    if told["truth_id"]:
        typer.echo(f"labels of people: truth {told['truth_id']}")
    for line in told["remarks"]:
        typer.echo(line)
