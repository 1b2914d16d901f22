"""The `morula` command: what to do, in verbs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console

from morula.common.geometry import SCALE_RANGE_UM
from morula.onebox import upkeep
from morula.onebox.failures import OTHER, Failure, WrongUse, exit_code, one_line
from morula.onebox.printing import AsJson, Data, folder_of, print_json, print_table

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
PRESETS = "the preset's"
SCALE = {"min": SCALE_RANGE_UM[0], "max": SCALE_RANGE_UM[1]}
SlideMpp = Annotated[float | None, typer.Option(**SCALE, help="Microns per pixel of the slide, where it does not say.")]
Include = Annotated[Path | None, typer.Option(help="GeoJSON: only tiles in its polygons.")]
Exclude = Annotated[Path | None, typer.Option(help="GeoJSON: no tiles in its polygons.")]
Sample = Annotated[int, typer.Option(min=0, help="So many kept tiles, spread over the tissue; 0 is all.")]
Origin = Annotated[tuple[int, int], typer.Option(help="Level-0 x and y of the grid's corner.")]


@app.command()
def run(
    slide: Annotated[Path, typer.Argument(help="The slide, or a folder of slides.")],
    out: Annotated[Path, typer.Option(help="Folder for the results; of several slides, one below it for each.")],
    preset: Annotated[str, typer.Option(help="Parameters that go together.")] = "default",
    segmenter: Annotated[str | None, typer.Option(help="Model that finds cells.", show_default=PRESETS)] = None,
    embedder: Annotated[str | None, typer.Option(help="Model that describes cells.", show_default=PRESETS)] = None,
    mpp: Annotated[
        float | None, typer.Option(min=0.05, max=10, help="Microns per pixel to work at.", show_default=PRESETS)
    ] = None,
    slide_mpp: SlideMpp = None,
    include: Include = None,
    exclude: Exclude = None,
    sample: Sample = 0,
    origin: Origin = (0, 0),
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Run a slide, or all slides of a folder, and leave the files in a folder."""
    from morula.gateway.pipeline.params import Choices
    from morula.onebox.regions import region_text
    from morula.onebox.run import Request
    from morula.onebox.run import run as run_slide
    from morula.onebox.serve import terminating

    with terminating():
        wanted, unwanted = (json.loads(region_text(path) or "null") for path in (include, exclude))
        choices = Choices(preset, segmenter, embedder, mpp, slide_mpp, wanted, unwanted, sample, *origin)
        summary = run_slide(Request(slide, out, choices), folder_of(data), _console())
    if as_json:
        print_json(summary)
    else:
        typer.echo("\n".join(map(_sentence, summary.get("slides", [summary]))))
    if failed := summary.get("failed"):
        several = f"{len(failed)} of {len(failed) + len(summary['slides'])} slides failed"
        raise Failure(f"{several}, the first is {failed[0]['slide']}: {failed[0]['error']}")


@app.command()
def serve(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port; the next free one from 8610 on unless given.")
    ] = None,
    data: Data = None,
    folder: Annotated[
        list[str] | None, typer.Option(metavar="NAME=PATH", help="Folder to copy slides from, by reference.")
    ] = None,
    opens: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
) -> None:
    """Open the page: slides, jobs, the board of cells."""
    from morula.onebox.serve import named_folders, terminating
    from morula.onebox.serve import serve as serve_page

    folders, console = named_folders(folder or []), Console(highlight=False, soft_wrap=True)
    with terminating():
        serve_page(folder_of(data), console, port=port, opens=opens, folders=folders)


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
        print_json(written)
    else:
        typer.echo("\n".join(written.values()))


@app.command()
def tiles(
    slide: Annotated[Path, typer.Argument(help="The slide; a folder for one of several files.")],
    mpp: Annotated[
        list[float] | None, typer.Option(**SCALE, help="Microns per pixel; give it again for more scales.")
    ] = None,
    preview: Annotated[Path | None, typer.Option(help="Draw what is kept and why not (.png, .jpg).")] = None,
    table: Annotated[Path | None, typer.Option(help="Write every tile with its metrics (.parquet).")] = None,
    gate: Annotated[str, typer.Option(help="Which gate decides: default or paper.")] = "default",
    tile_px: Annotated[int, typer.Option(min=16, max=4096, help="Side of a tile.")] = 512,
    origin: Origin = (0, 0),
    include: Include = None,
    exclude: Exclude = None,
    sample: Sample = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the sample.")] = 0,
    cores: Annotated[bool, typer.Option(help="Find the cores of a tissue microarray.")] = False,
    slide_mpp: SlideMpp = None,
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
        print_json(found)
        return
    for scale in found["scales"]:
        typer.echo(f"{scale['mpp']:.4g} um/px, {scale['tile_count']} tiles:")
        print_table(("verdict", "tiles"), [(word, str(count)) for word, count in scale["verdicts"].items()])
        finer = [f"{reason} {count}" for reason, count in scale["reasons"].items() if reason not in scale["verdicts"]]
        if finer:
            typer.echo(f"reasons: {', '.join(finer)}")
        if cores:
            typer.echo(f"{len(scale['cores'])} cores: {', '.join(scale['cores']) or 'this is no microarray'}")
        written = [scale[name] for name in ("preview", "table") if scale[name]]
        typer.echo("\n".join(written) or "Draw it with --preview FILE.png.")


@app.command()
def bench(
    stage: Annotated[str, typer.Argument(help="pipeline, labelling, tiler, segmenter or seams.")],
    as_json: AsJson = False,
) -> None:
    """Measure a stage and compare the figures with their bounds."""
    from morula.onebox.bench.stages import measure

    report = measure(stage, _console())
    if as_json:
        print_json(report.as_json())
    else:
        print_table(("case", "value", "unit", "bound", "holds"), [_row(case) for case in report.cases])
    if not report.holds:
        raise typer.Exit(OTHER)


@app.command("segment")
def segment_images(
    images: Annotated[list[Path], typer.Argument(help="Images, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder for label images and GeoJSON, by the images' names.")],
    segmenter: Annotated[str, typer.Option(help="Model that finds cells.")] = "watershed",
    mpp: Annotated[float, typer.Option(min=0.01, max=10, help="Microns per pixel of the images.")] = 0.5,
    diameter: Annotated[float, typer.Option(min=0, help="Of objects, in px; 0 is the model's own.")] = 0.0,
    flow_threshold: Annotated[float, typer.Option(min=0, help="0 asks nothing of flows.")] = 0.4,
    cellprob_threshold: Annotated[float, typer.Option(help="A logit.")] = 0.0,
    niter: Annotated[int, typer.Option(min=0, help="Steps along flows; 0 follows the diameter.")] = 0,
    min_size: Annotated[int, typer.Option(min=0, help="In px.")] = 15,
    max_size_fraction: Annotated[float, typer.Option(min=0, max=1)] = 0.4,
    normalize: Annotated[bool, typer.Option(help="Each image by its 1st and 99th percentile.")] = True,
    augment: Annotated[bool, typer.Option(help="Flips and half overlap: slower, a little better.")] = False,
    batch: Annotated[int, typer.Option(min=0, help="Crops per batch; 0 is the device's own.")] = 0,
    channel: Annotated[list[str] | None, typer.Option(help="What the network sees, in order.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Find cells on plain images."""
    from morula.onebox.segmenting import segment
    from morula.segmenter.instances import Wanted
    from morula.segmenter.params import FlowParams

    flows = FlowParams(
        flow_threshold=flow_threshold,
        cellprob_threshold=cellprob_threshold,
        niter=niter,
        min_size=min_size,
        max_size_fraction=max_size_fraction,
        normalize="image" if normalize else "none",
        augment=augment,
        batch=batch,
        channels=tuple(channel or ()),
    )
    console = _console()
    done = segment(
        images,
        out,
        folder_of(data),
        segmenter,
        mpp,
        Wanted(diameter_um=diameter * mpp, flows=flows),
        lambda one: console.print(one.error or f"{one.image.name}: {one.cell_count} cells"),
    )
    failed = [one for one in done if one.error]
    if as_json:
        rows = [{"image": str(d.image), "labels": d.labels and str(d.labels), "cell_count": d.cell_count} for d in done]
        print_json({"images": rows, "failed": [{"image": str(f.image), "error": f.error} for f in failed]})
    if failed:
        raise Failure(f"{len(failed)} of {len(done)} images were not segmented: {failed[0].error}")


score = typer.Typer(help="Score results against the truth.")
app.add_typer(score, name="score")


@score.callback()
def score_what() -> None:
    """Score results against the truth."""


@score.command("segmentation")
def score_segmentation(
    truth: Annotated[Path, typer.Option(help="Folder of label images.")],
    pred: Annotated[Path, typer.Option(help="Folder of label images of the same names.")],
    index: Annotated[Path | None, typer.Option(help="CSV with columns id and modality.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare label images: average precision, F1, PQ, AJI, Dice and more."""
    from morula.onebox.segmenting import score as score_folders

    found = score_folders(truth, pred, index)
    if as_json:
        print_json({"scores": found})
        return
    rows = [[name, *(f"{group[name]:.4g}" for group in found.values())] for name in next(iter(found.values()))]
    print_table(("score", *found), rows)


app.command()(upkeep.doctor)
app.command()(upkeep.sweep)

models = typer.Typer(help="List the registry of models, or add weights to it.", invoke_without_command=True)
app.add_typer(models, name="models")


@models.callback()
def list_models(context: typer.Context, data: Data = None, as_json: AsJson = False) -> None:
    """List the registry of models."""
    from morula.onebox.models import registry

    context.obj = data  # The verbs below take the folder on either side of their name.
    if context.invoked_subcommand:
        return
    fields = ("name", "task", "revision", "object_kind", "mpp", "licence", "commercial")
    rows = [{field: getattr(spec, field) for field in fields} for spec in registry(folder_of(data))]
    if as_json:
        print_json({"models": rows})
    else:
        print_table(fields, [[str(row[field])[:12] for field in fields] for row in rows])


@models.command("add")
def add_model(
    context: typer.Context,
    family: Annotated[str, typer.Argument(help="cellpose-sam, cellpose-unet or instanseg.")],
    files: Annotated[list[Path], typer.Argument(help="The file of weights; several make an ensemble.")],
    size: Annotated[Path | None, typer.Option(help="A size model (.safetensors).")] = None,
    name: Annotated[str | None, typer.Option("--as", help="Name of the model.", show_default="the family's")] = None,
    mpp: Annotated[float | None, typer.Option(min=0.05, max=10, help="Microns per pixel it works at.")] = None,
    object_um: Annotated[float | None, typer.Option(min=0.1, help="Diameter of a typical object.")] = None,
    channel: Annotated[list[str] | None, typer.Option(help="What it sees, in order: gray, haematoxylin, ...")] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the weights.")] = None,
    trained_on: Annotated[str | None, typer.Option(help="What they were trained on.")] = None,
    commercial: Annotated[bool | None, typer.Option(help="Whether both allow commercial use.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Add a file of weights: every tensor is checked, and what starts from now on can use it."""
    from morula.onebox.models import Wishes, add

    wishes = Wishes(name, mpp, object_um, tuple(channel or ()), licence, trained_on, commercial)
    spec = add(folder_of(data or context.obj), family, files, size, wishes)
    if as_json:
        print_json({"name": spec.name, "revision": spec.revision})
    else:
        typer.echo(f"{spec.name}, revision {spec.revision[:12]}; morula run SLIDE --segmenter {spec.name} --out FOLDER")


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


def _sentence(summary: dict[str, Any]) -> str:
    board = f"\nLabel them: {summary['board']}" if summary["board"] else ""
    if summary["already_done"]:
        return f"Nothing to do: {summary['why']} ({summary['out']}).{board}"
    found = {"no_tissue": "No tissue on this slide", "no_cells": "Tissue, but no cells on this slide"}
    words = found.get(summary["verdict"]) or f"{summary['cell_count']:,} cells"
    cut_off = f", {summary['truncated_cell_count']:,} of them cut off" if summary["truncated_cell_count"] else ""
    failed = f", {summary['failed_tile_count']} tiles failed" if summary["failed_tile_count"] else ""
    return f"{words}{cut_off}{failed}, {summary['seconds']} s: {summary['out']}{board}"


def _console() -> Console:
    """Where people read progress; results go to standard output."""
    return Console(stderr=True, highlight=False, soft_wrap=True)
