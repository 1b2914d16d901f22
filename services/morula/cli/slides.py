"""`morula run`, `serve`, `synth` and `tiles`: what is done with slides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from morula.cli.printing import AsJson, Data, console, folder_of, print_json, print_table
from morula.cli.segmentation import MODELS, Augment, CellprobThreshold, Channel, FlowThreshold, MaxSizeFraction, Niter
from morula.common import clustering
from morula.common.geometry import SCALE_RANGE_UM
from morula.common.segmentation import Normalization
from morula.common.stain import STAIN_WORDS
from morula.onebox.failures import Failure, WrongUse

if TYPE_CHECKING:
    from morula.gateway.pipeline.params import Choices

PRESETS = "the preset's"
SCALE = {"min": SCALE_RANGE_UM[0], "max": SCALE_RANGE_UM[1]}
SlideMpp = Annotated[float | None, typer.Option(**SCALE, help="Microns per pixel of the slide, where it does not say.")]
Stain = Annotated[
    str | None,
    typer.Option(help=f"{', '.join(STAIN_WORDS)}: what it is stained with.", show_default="as its colours tell"),
]
Include = Annotated[Path | None, typer.Option(help="GeoJSON: only tiles in its polygons.")]
Exclude = Annotated[Path | None, typer.Option(help="GeoJSON: no tiles in its polygons.")]
Sample = Annotated[int, typer.Option(min=0, help="So many kept tiles, spread over the tissue; 0 is all.")]
Origin = Annotated[tuple[int, int], typer.Option(help="Level-0 x and y of the grid's corner.")]
Normalize = Annotated[Normalization | None, typer.Option(help="Whose dark and bright counts.", show_default=PRESETS)]
Eps = Annotated[
    float | None,
    typer.Option(min=0, help="Of the preset paper's DBSCAN; 0 finds it by the knee.", show_default=PRESETS),
]
Layout = Annotated[
    clustering.Layout | None, typer.Option(help="Of cells for drawing: umap.", show_default="around their leaves")
]


Mpp = Annotated[
    float | None, typer.Option(min=0.05, max=10, help="Microns per pixel to work at.", show_default=PRESETS)
]


def run(
    slide: Annotated[list[Path], typer.Argument(help="The slide, a folder of slides, or several.")],
    out: Annotated[Path, typer.Option(help="Folder for the results; of several slides, one below it for each.")],
    together: Annotated[bool, typer.Option("--together", help="Cluster the cells of all once more, as one.")] = False,
    preset: Annotated[str, typer.Option(help="Parameters that go together.")] = "default",
    segmenter: Annotated[str | None, typer.Option(help="Model that finds cells.", show_default=PRESETS)] = None,
    embedder: Annotated[str | None, typer.Option(help="Model that describes cells.", show_default=PRESETS)] = None,
    mpp: Mpp = None,
    slide_mpp: SlideMpp = None,
    stain: Stain = None,
    include: Include = None,
    exclude: Exclude = None,
    sample: Sample = 0,
    origin: Origin = (0, 0),
    diameter: Annotated[float | None, typer.Option(help="Of objects, in um.", show_default=MODELS)] = None,
    min_area: Annotated[float | None, typer.Option(help="Of objects, in um2.", show_default=MODELS)] = None,
    flow_threshold: FlowThreshold = None,
    cellprob_threshold: CellprobThreshold = None,
    niter: Niter = None,
    max_size_fraction: MaxSizeFraction = None,
    normalize: Normalize = None,
    augment: Augment = None,
    channel: Channel = None,
    keep_rejected: Annotated[bool | None, typer.Option(help="Cells just outside of kept tiles, too.")] = None,
    eps: Eps = None,
    layout: Layout = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Run slides, by themselves and as a cohort, and leave the files in a folder."""
    from morula.onebox import run as running
    from morula.onebox.serve import terminating

    with terminating():
        choices = _chosen(
            origin,
            include,
            exclude,
            preset=preset,
            segmenter=segmenter,
            embedder=embedder,
            mpp=mpp,
            slide_mpp=slide_mpp,
            stain=stain,
            sample_tile_count=sample,
            diameter_um=diameter,
            min_area_um2=min_area,
            flow_threshold=flow_threshold,
            cellprob_threshold=cellprob_threshold,
            niter=niter,
            max_size_fraction=max_size_fraction,
            normalize=normalize,
            augment=augment,
            channels=channel,
            keep_rejected=keep_rejected,
            eps=eps,
            layout=layout,
        )
        asked = running.Request(tuple(slide), out, choices, together)
        _report(running.run(asked, folder_of(data), console()), as_json=as_json)


def _chosen(origin: tuple[int, int], include: Path | None, exclude: Path | None, **others: Any) -> Choices:
    """What was asked for: places as the files and numbers that name them, all else as it is called."""
    from morula.onebox.regions import region_text
    from morula.onebox.run import choose

    within, without = (json.loads(region_text(path) or "null") for path in (include, exclude))
    return choose(include=within, exclude=without, origin_x_px=origin[0], origin_y_px=origin[1], **others)


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

    folders, page = named_folders(folder or []), Console(highlight=False, soft_wrap=True)
    with terminating():
        serve_page(folder_of(data), page, port=port, opens=opens, folders=folders)


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
    from morula.synth import make_slide

    try:
        with counted("Painting", console()) as progress:
            made = make_slide(out, width, height, seed, progress, mpp=mpp, tissue_fraction=tissue, artefacts=artefacts)
    except ValueError as error:
        raise WrongUse(str(error)) from error
    written = {name: str(path) for name, path in vars(made).items()}
    if as_json:
        print_json(written)
    else:
        typer.echo("\n".join(written.values()))


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
    with counted("Reading", console()) as progress:
        report = examine(request, preview, table, progress)
    if as_json:
        print_json(report)
        return
    for scale in report["scales"]:
        typer.echo(f"{scale['mpp']:.4g} um/px, {scale['tile_count']} tiles:")
        print_table(("verdict", "tiles"), [(word, str(count)) for word, count in scale["verdicts"].items()])
        finer = [f"{reason} {count}" for reason, count in scale["reasons"].items() if reason not in scale["verdicts"]]
        if finer:
            typer.echo(f"reasons: {', '.join(finer)}")
        if cores:
            typer.echo(f"{len(scale['cores'])} cores: {', '.join(scale['cores']) or 'this is no microarray'}")
        written = [scale[name] for name in ("preview", "table") if scale[name]]
        typer.echo("\n".join(written) or "Draw it with --preview FILE.png.")


def _report(summary: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(summary)
    else:
        typer.echo("\n".join(map(_sentence, summary.get("slides", [summary]))))
        if "clustering_id" in summary.get("together", {}):
            typer.echo(_cohort_sentence(summary["together"]))
    if failed := summary.get("failed"):
        several = f"{len(failed)} of {len(failed) + len(summary['slides'])} slides failed"
        raise Failure(f"{several}, the first is {failed[0]['slide']}: {failed[0]['error']}")
    if error := summary.get("together", {}).get("error"):
        raise Failure(f"the slides are done, but not together: {error}")


def _sentence(summary: dict[str, Any]) -> str:
    board = f"\nLabel them: {summary['board']}" if summary["board"] else ""
    if summary["already_done"]:
        return f"Nothing to do: {summary['why']} ({summary['out']}).{board}"
    empty = {"no_tissue": "No tissue on this slide", "no_cells": "Tissue, but no cells on this slide"}
    words = empty.get(summary["verdict"]) or f"{summary['cell_count']:,} cells"
    cut_off = f", {summary['truncated_cell_count']:,} of them cut off" if summary["truncated_cell_count"] else ""
    without = f", {summary['unembedded_cell_count']:,} without a vector" if summary["unembedded_cell_count"] else ""
    failed = f", {summary['failed_tile_count']} tiles failed" if summary["failed_tile_count"] else ""
    return f"{words}{cut_off}{without}{failed}, {summary['seconds']} s: {summary['out']}{board}"


LEAST_SLIDES_OF_AN_INTERVAL = 4
"""Of fewer the scores depend on each other, and an interval would say more than is known."""


def _cohort_sentence(cohort: dict[str, Any]) -> str:
    told, slides = cohort["mixing"], cohort["slides"]
    mixed = "how well the slides mix is not known"
    if told:
        scored = [f"{one['name']} {one['mixing']:.2f}" for one in slides if one["mixing"] is not None]
        interval = f"{told['low']:.2f} to {told['high']:.2f}; " if len(scored) >= LEAST_SLIDES_OF_AN_INTERVAL else ""
        mixed = f"mixing {told['score']:.2f} ({interval}1 is as by chance, 0 not at all): {', '.join(scored)}"
    words = f"Together {cohort['cell_count']:,} cells of {len(slides)} slides, {cohort['seconds']} s: {cohort['out']}"
    return f"{words}\n{mixed}\nLabel them: {cohort['board']}"
