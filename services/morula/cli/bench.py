"""`morula bench`: figures beside their bounds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from morula.cli.printing import AsJson, console, print_json, print_table
from morula.onebox.failures import OTHER

if TYPE_CHECKING:
    from morula.bench.report import Case


def bench(
    stage: Annotated[
        str,
        typer.Argument(
            help="pipeline, labelling, tiler, segmenter, embedder, clusterer, seams, nuclei, quality or metrics."
        ),
    ],
    cells: Annotated[
        int | None, typer.Option(min=50_001, help="Of clusterer and metrics: what so many cells need.")
    ] = None,
    as_json: AsJson = False,
    vectors: Annotated[Path | None, typer.Option(help="labelling: .npy with a row for each cell.")] = None,
    truth: Annotated[Path | None, typer.Option(help="labelling: .csv with `class` and `patient` of each row.")] = None,
    others: Annotated[
        str, typer.Option("--with", help="quality: ways to cluster beside ours: evoc,plscan,leiden (make clusterers).")
    ] = "",
) -> None:
    """Measure a stage and compare the figures with their bounds."""
    from morula.bench.stages import measure

    report = measure(stage, console(), vectors, truth, cells, [name for name in others.split(",") if name])
    if as_json:
        print_json(report.as_json())
    else:
        print_table(("case", "value", "unit", "bound", "holds"), [_row(case) for case in report.cases])
        for words in report.left_out:
            typer.echo(f"Not measured: {words}.")
        for words in report.said:
            typer.echo(words)
    if not report.holds:
        raise typer.Exit(OTHER)


def _row(case: Case) -> tuple[str, ...]:
    holds = "" if case.bound is None else "yes" if case.holds else "NO"
    interval = "" if case.interval is None else " ({:+.4g} to {:+.4g})".format(*case.interval)
    return case.name, f"{case.value:,g}{interval}", case.unit, case.bound or "", holds
