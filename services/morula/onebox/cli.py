"""The `morula` command: what to do, in verbs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from morula.common.geometry import SCALE_RANGE_UM
from morula.common.models import REGISTRY
from morula.onebox.failures import OTHER, Failure, WrongUse, exit_code, one_line
from morula.onebox.folder import DataFolder, default_data_dir

DEBUG = "--debug"

if TYPE_CHECKING:
    from morula.onebox.bench.report import Case

app = typer.Typer(
    name="morula",
    help="A whole-slide image goes in, labelled cells come out.",
    epilog="--debug anywhere on the line shows the trace of an error.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
Data = Annotated[
    Path | None, typer.Option(help="Folder of objects, database and logs.", show_default="below $XDG_DATA_HOME")
]
PRESETS = "the preset's"
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command()
def run(
    slide: Annotated[Path, typer.Argument(help="The slide; a folder for one of several files.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    preset: Annotated[str, typer.Option(help="Parameters that go together.")] = "default",
    segmenter: Annotated[str | None, typer.Option(help="Model that finds cells.", show_default=PRESETS)] = None,
    embedder: Annotated[str | None, typer.Option(help="Model that describes cells.", show_default=PRESETS)] = None,
    mpp: Annotated[
        float | None, typer.Option(min=0.05, max=10, help="Microns per pixel to work at.", show_default=PRESETS)
    ] = None,
    slide_mpp: Annotated[
        float | None,
        typer.Option(
            min=SCALE_RANGE_UM[0], max=SCALE_RANGE_UM[1], help="Microns per pixel of the slide, where it does not say."
        ),
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Run one slide and leave its files in a folder."""
    from morula.onebox.run import Request
    from morula.onebox.run import run as run_slide
    from morula.onebox.serve import terminating

    with terminating():
        request = Request(slide, out, preset, segmenter, embedder, mpp, slide_mpp)
        summary = run_slide(request, _folder(data), _console())
    if as_json:
        _print_json(summary)
    elif summary["already_done"]:
        typer.echo(f"Nothing to do: {summary['why']} ({out}).")
    else:
        typer.echo(_sentence(summary))


@app.command()
def serve(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port; the next free one from 8610 on unless given.")
    ] = None,
    data: Data = None,
    folder: Annotated[
        list[str] | None, typer.Option(metavar="NAME=PATH", help="Folder to read slides from where they lie.")
    ] = None,
    opens: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
) -> None:
    """Open the page: slides, jobs, the board of cells."""
    from morula.onebox.serve import named_folders, terminating
    from morula.onebox.serve import serve as serve_page

    folders, console = named_folders(folder or []), Console(highlight=False, soft_wrap=True)
    with terminating():
        serve_page(_folder(data), console, port=port, opens=opens, folders=folders)


@app.command()
def synth(
    out: Annotated[Path, typer.Argument(help="The slide to write (.tiff); its truth is written beside it.")],
    width: Annotated[int, typer.Option(min=256, max=120_000)] = 4096,
    height: Annotated[int, typer.Option(min=256, max=120_000)] = 4096,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    mpp: Annotated[float, typer.Option(help="Microns per pixel, 0.5 (20x) or 0.25 (40x).")] = 0.5,
    tissue: Annotated[float | None, typer.Option(help="Share of the slide that is tissue, 0.01 to 0.9.")] = None,
    artefacts: Annotated[bool, typer.Option("--artefacts", help="With pen, folds and fields out of focus.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a slide that looks like tissue, with the truth beside it."""
    from morula.onebox.progress import counted
    from morula.onebox.synth import make_slide

    try:
        with counted("Painting", _console()) as progress:
            made = make_slide(out, width, height, seed, progress, mpp=mpp, tissue_fraction=tissue, artefacts=artefacts)
    except ValueError as error:
        raise WrongUse(str(error)) from error
    written = {name: str(path) for name, path in vars(made).items()}
    if as_json:
        _print_json(written)
    else:
        typer.echo("\n".join(written.values()))


@app.command()
def tiles(
    slide: Annotated[Path, typer.Argument(help="The slide.")],
    mpp: Annotated[list[float] | None, typer.Option(help="Microns per pixel; give it again for more scales.")] = None,
    preview: Annotated[Path | None, typer.Option(help="Draw what is kept and why not (.png, .jpg).")] = None,
    table: Annotated[Path | None, typer.Option(help="Write every tile with its metrics (.parquet).")] = None,
    gate: Annotated[str, typer.Option(help="Which gate decides: default or paper.")] = "default",
    tile_px: Annotated[int, typer.Option(min=16, max=4096, help="Side of a tile.")] = 512,
    origin: Annotated[tuple[int, int], typer.Option(help="Level-0 x and y of the grid's corner.")] = (0, 0),
    include: Annotated[Path | None, typer.Option(help="GeoJSON: only tiles in its polygons.")] = None,
    exclude: Annotated[Path | None, typer.Option(help="GeoJSON: no tiles in its polygons.")] = None,
    sample: Annotated[int, typer.Option(min=0, help="So many kept tiles, spread over the tissue; 0 is all.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the sample.")] = 0,
    cores: Annotated[bool, typer.Option(help="Find the cores of a tissue microarray.")] = False,
    slide_mpp: Annotated[
        float | None, typer.Option(min=0.01, max=100, help="Microns per pixel of the slide, where it does not say.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show which tiles would be kept, and why not the others."""
    from morula.onebox.progress import counted
    from morula.onebox.tiles import Request, examine

    request = Request(
        slide, mpp or [0.5], slide_mpp, tile_px, origin, gate, include, exclude, sample, seed, find_cores=cores
    )
    with counted("Reading", _console()) as progress:
        found = examine(request, preview, table, progress)
    if as_json:
        _print_json(found)
        return
    for scale in found["scales"]:
        typer.echo(f"{scale['mpp']:.4g} um/px, {scale['tile_count']} tiles:")
        _print_table(("verdict", "tiles"), [(word, str(count)) for word, count in scale["verdicts"].items()])
        written = [scale[name] for name in ("preview", "table") if scale[name]]
        typer.echo("\n".join(written) or "Draw it with --preview FILE.png.")


@app.command()
def bench(
    stage: Annotated[str, typer.Argument(help="pipeline, labelling or tiler.")],
    as_json: AsJson = False,
) -> None:
    """Measure a stage and compare the figures with their bounds."""
    from morula.onebox.bench.stages import measure

    report = measure(stage, _console())
    if as_json:
        _print_json(report.as_json())
    else:
        _print_table(("case", "value", "unit", "bound", "holds"), [_row(case) for case in report.cases])
    if not report.holds:
        raise typer.Exit(OTHER)


@app.command()
def doctor(data: Data = None, as_json: AsJson = False) -> None:
    """Check that everything needed is here."""
    from morula.onebox.doctor import examine

    findings = examine(_folder(data))
    if as_json:
        _print_json({"findings": [{"name": f.name, "ok": f.is_ok, "detail": f.detail} for f in findings]})
    else:
        _print_table(("what", "", "detail"), [(f.name, "ok" if f.is_ok else "MISSING", f.detail) for f in findings])
    missing = [finding.name for finding in findings if not finding.is_ok]
    if missing:
        raise Failure(f"missing: {', '.join(missing)}; what to do stands beside each")


@app.command()
def models(as_json: AsJson = False) -> None:
    """List the registry of models."""
    fields = ("name", "task", "revision", "object_kind", "mpp", "licence", "commercial")
    rows = [{field: getattr(spec, field) for field in fields} for spec in REGISTRY]
    if as_json:
        _print_json({"models": rows})
    else:
        _print_table(fields, [[str(row[field])[:12] for field in fields] for row in rows])


def main() -> None:
    """The command, with one clear line per error; the trace only where it is asked for."""
    words = [word for word in sys.argv[1:] if word != DEBUG]
    guarded(lambda: app(words or ["--help"], standalone_mode=False))


def guarded(verb: Callable[[], int | None]) -> NoReturn:
    """Runs a verb and exits: one clear line per error, the trace only where it is asked for."""
    try:
        code = verb()
    except (typer.Abort, KeyboardInterrupt):
        typer.echo("morula: stopped", err=True)
        code = OTHER
    except Exception as error:
        if DEBUG in sys.argv:
            raise
        code = _explain(error)
    sys.exit(code)


def _explain(error: Exception) -> int:
    if hasattr(error, "format_message"):
        typer.echo(f"morula: {error.format_message()}", err=True)
        return int(getattr(error, "exit_code", OTHER))
    hint = "" if exit_code(error) != OTHER or isinstance(error, Failure) else " (--debug shows the trace)"
    typer.echo(f"morula: {one_line(error)}{hint}", err=True)
    return exit_code(error)


def _row(case: Case) -> tuple[str, ...]:
    holds = "" if case.bound is None else "yes" if case.holds else "NO"
    return case.name, f"{case.value:,g}", case.unit, case.bound or "", holds


def _folder(data: Path | None) -> DataFolder:
    return DataFolder(data or default_data_dir())


def _sentence(summary: dict[str, Any]) -> str:
    found = {"no_tissue": "No tissue on this slide", "no_cells": "Tissue, but no cells on this slide"}
    words = found.get(summary["verdict"]) or f"{summary['cell_count']:,} cells"
    failed = f", {summary['failed_tile_count']} tiles failed" if summary["failed_tile_count"] else ""
    return f"{words}{failed}, {summary['seconds']} s: {summary['out']}"


def _console() -> Console:
    """Where people read progress; results go to standard output."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def _print_json(value: dict[str, Any]) -> None:
    typer.echo(json.dumps(value, indent=2, sort_keys=False))


def _print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(*head, box=None, header_style="bold")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False).print(table)
