"""`morula segment` and `morula score`: what is done with plain images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from morula.cli.printing import AsJson, Data, console, folder_of, print_json, print_table
from morula.onebox.failures import Failure


def segment(
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
    from morula.onebox import segmenting
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
    terminal = console()
    done = segmenting.segment(
        images,
        out,
        folder_of(data),
        segmenter,
        mpp,
        Wanted(diameter_um=diameter * mpp, flows=flows),
        lambda result: terminal.print(result.error or f"{result.image.name}: {result.cell_count} cells"),
    )
    failed = [result for result in done if result.error]
    if as_json:
        rows = [{"image": str(d.image), "labels": d.labels and str(d.labels), "cell_count": d.cell_count} for d in done]
        print_json({"images": rows, "failed": [{"image": str(f.image), "error": f.error} for f in failed]})
    if failed:
        raise Failure(f"{len(failed)} of {len(done)} images were not segmented: {failed[0].error}")


score = typer.Typer(help="Score results against the truth.")


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

    scores = score_folders(truth, pred, index)
    if as_json:
        print_json({"scores": scores})
        return
    rows = [[name, *(f"{group[name]:.4g}" for group in scores.values())] for name in next(iter(scores.values()))]
    print_table(("score", *scores), rows)
