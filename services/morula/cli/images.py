"""`morula segment` and `morula score`: what is done with plain images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from morula.cli.printing import AsJson, Data, console, folder_of, print_json, print_table
from morula.cli.segmentation import MODELS, Augment, CellprobThreshold, Channel, FlowThreshold, MaxSizeFraction, Niter
from morula.common.models import DEFAULT_EMBEDDER, DEFAULT_SEGMENTER
from morula.common.stain import STAIN_WORDS
from morula.onebox.failures import Failure

if TYPE_CHECKING:
    from morula.onebox.scoring import GroupScores


def segment(
    images: Annotated[list[Path], typer.Argument(help="Images, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder for label images and GeoJSON, by the images' names.")],
    segmenter: Annotated[str, typer.Option(help="Model that finds cells.")] = DEFAULT_SEGMENTER,
    mpp: Annotated[
        float | None,
        typer.Option(
            min=0.01, max=10, help="Microns per pixel of the images.", show_default="a size model tells, or 0.5"
        ),
    ] = None,
    diameter: Annotated[float | None, typer.Option(min=0, help="Of objects, in px.", show_default=MODELS)] = None,
    flow_threshold: FlowThreshold = None,
    cellprob_threshold: CellprobThreshold = None,
    niter: Niter = None,
    min_size: Annotated[int | None, typer.Option(min=0, help="Of objects, in px.", show_default=MODELS)] = None,
    max_size_fraction: MaxSizeFraction = None,
    normalize: Annotated[
        bool | None, typer.Option(help="Each image by its 1st and 99th percentile.", show_default="each image")
    ] = None,
    augment: Augment = None,
    batch: Annotated[int, typer.Option(min=0, help="Crops per batch; 0 is the device's own.")] = 0,
    channel: Channel = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Find cells on plain images."""
    from morula.onebox import segmenting

    scale = segmenting.USUAL_MPP if mpp is None else mpp
    asked = {
        "diameter_um": diameter * scale if diameter else None,
        # Half a px less, so that rounding decides of no object.
        "min_area_um2": None if min_size is None else max(min_size - 0.5, 0.5) * scale**2,
        "flow_threshold": flow_threshold,
        "cellprob_threshold": cellprob_threshold,
        "niter": niter,
        "max_size_fraction": max_size_fraction,
        "normalize": None if normalize is None else "image" if normalize else "none",
        "augment": augment,
        "channels": tuple(channel) if channel else None,
    }
    terminal = console()
    done = segmenting.segment(
        images,
        out,
        folder_of(data),
        segmenter,
        scale,
        {name: value for name, value in asked.items() if value is not None},
        lambda result: terminal.print(result.error or f"{result.image.name}: {result.cell_count} cells"),
        batch=batch,
        is_scale_known=mpp is not None or bool(diameter),
    )
    failed = [result for result in done if result.error]
    if as_json:
        rows = [{"image": str(d.image), "labels": d.labels and str(d.labels), "cell_count": d.cell_count} for d in done]
        print_json({"images": rows, "failed": [{"image": str(f.image), "error": f.error} for f in failed]})
    if failed:
        raise Failure(f"{len(failed)} of {len(done)} images were not segmented: {failed[0].error}")


def embed(
    source: Annotated[Path, typer.Argument(metavar="FOLDER_OR_ZIP", help="Images of single cells.")],
    out: Annotated[
        Path, typer.Option(help="Folder for vectors.npy and index.parquet, which names the image of each row.")
    ],
    embedder: Annotated[str, typer.Option(help="Model that describes cells.")] = DEFAULT_EMBEDDER,
    mpp: Annotated[float, typer.Option(min=0.01, max=10, help="Microns per pixel of the images.")] = 0.5,
    stain: Annotated[
        str | None, typer.Option(help=f"{', '.join(STAIN_WORDS)}: what is stained.", show_default="not known")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Describe images of single cells by numbers: what morula cluster reads."""
    from morula.onebox import embedding
    from morula.onebox.progress import counted

    with counted("Describing cells", console()) as tell:
        done = embedding.embed(source, out, folder_of(data), embedder, mpp, tell, embedding.stain_asked(stain))
    if as_json:
        failed = [{"file": file, "error": error} for file, error in done.errors]
        print_json({"count": done.count, "dimension_count": done.dimension_count, "out": str(out), "failed": failed})
    else:
        typer.echo(f"{done.count:,} images, {done.dimension_count} numbers each: {out}")
    if done.errors:
        file, error = done.errors[0]
        raise Failure(f"{len(done.errors)} of {done.count} images have no vector, the first is {file}: {error}")


score = typer.Typer(help="Score results against the truth.")


@score.callback()
def score_what() -> None:
    """Score results against the truth."""


@score.command("segmentation")
def score_segmentation(
    truth: Annotated[Path, typer.Option(help="Folder of label images.")],
    pred: Annotated[Path, typer.Option(help="Folder of label images of the same names.")],
    index: Annotated[
        Path | None, typer.Option(help="CSV with id, modality and, where images belong together, group (a patient).")
    ] = None,
    second: Annotated[
        Path | None, typer.Option(help="Label images by another annotator: half of their error rate is the least told.")
    ] = None,
    against: Annotated[Path | None, typer.Option(help="Another prediction: what it is worse by.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare label images: average precision, F1, PQ, AJI, Dice and more, with intervals over images."""
    from morula.onebox.scoring import score as score_folders

    scores = score_folders(truth, pred, index, second, against)
    if as_json:
        told = {
            part: {name: getattr(group, part) for name, group in scores.items()} for part in ("intervals", "difference")
        }
        print_json({"scores": {name: group.values for name, group in scores.items()}, **told})
        return
    names = next(iter(scores.values())).values
    print_table(("score", *scores), [[name, *(_told(name, group) for group in scores.values())] for name in names])
    if against:
        rows = [[name, *(_between(group.difference.get(name)) for group in scores.values())] for name in names]
        print_table((f"minus {against}", *scores), [row for row in rows if any(row[1:])])


def _told(name: str, group: GroupScores) -> str:
    value = group.values.get(name)
    return _between(group.intervals.get(name)) or ("" if value is None else f"{value:,}")


def _between(number: dict[str, Any] | None) -> str:
    if number is None or number["value"] is None:
        return ""
    told = "" if number["low"] is None else f" ({number['low']:.3f} to {number['high']:.3f})"
    return f"{number['value']:.3f}{told}"
