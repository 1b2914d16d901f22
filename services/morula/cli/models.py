"""`morula models`: the registry, and what an operator adds to it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from morula.cli.printing import AsJson, Data, console, folder_of, print_json, print_table
from morula.common.models import Commercial

models = typer.Typer(help="List the registry of models, or add weights to it.", invoke_without_command=True)


@models.callback()
def list_models(context: typer.Context, data: Data = None, as_json: AsJson = False) -> None:
    """List the registry of models."""
    from morula.onebox.models import registry

    context.obj = data  # The verbs below take the folder on either side of their name.
    if context.invoked_subcommand:
        return
    of_row, of_words = (
        ("name", "task", "revision", "object_kind", "mpp", "stains", "variant_of"),
        ("licence", "commercial", "trained_on", "scaled_by"),
    )
    rows = [
        {name: getattr(spec, name) for name in of_row} | {name: getattr(spec.description, name) for name in of_words}
        for spec in registry(folder_of(data))
    ]
    if as_json:
        print_json({"models": rows})
    else:
        shown = ("name", "task", "revision", "mpp", "stains", "licence", "commercial")
        print_table(shown, [[_shown(name, row[name]) for name in shown] for row in rows])


def _shown(name: str, value: Any) -> str:
    if name == "stains":
        return ", ".join(stain or "not known" for stain in value) or "all"
    return str(value)[: 12 if name == "revision" else None]


@models.command("add")
def add_model(
    context: typer.Context,
    family: Annotated[
        str, typer.Argument(help="A family of networks; an unknown one is answered with the list of them.")
    ],
    files: Annotated[list[Path], typer.Argument(help="The file of weights; several make an ensemble.")],
    size: Annotated[Path | None, typer.Option(help="A size model (.safetensors).")] = None,
    name: Annotated[str | None, typer.Option("--as", help="Name of the model.", show_default="the family's")] = None,
    mpp: Annotated[float | None, typer.Option(min=0.05, max=10, help="Microns per pixel it works at.")] = None,
    object_um: Annotated[float | None, typer.Option(min=0.1, help="Diameter of a typical object.")] = None,
    channel: Annotated[list[str] | None, typer.Option(help="What it sees, in order: gray, haematoxylin, ...")] = None,
    window_um: Annotated[
        float | None,
        typer.Option(min=0, max=200, help="What an embedder is shown around each cell; 0 is the cell's own box."),
    ] = None,
    context_um: Annotated[
        float | None, typer.Option(min=0, max=400, help="And in a second look, at what is around it; 0 is none.")
    ] = None,
    backbone: Annotated[
        str | None, typer.Option(help="Of timm or torchvision: the library's name of the network that the file is of.")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the weights.")] = None,
    trained_on: Annotated[str | None, typer.Option(help="What they were trained on.")] = None,
    commercial: Annotated[Commercial | None, typer.Option(help="Whether both allow commercial use.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Add a file of weights: every tensor is checked, and what starts from now on can use it."""
    from morula.onebox.models import Wishes, add

    words = {"licence": licence, "trained_on": trained_on, "commercial": commercial}
    said = {word: value for word, value in words.items() if value is not None}
    wishes = Wishes(name, mpp, object_um, tuple(channel or ()), window_um, context_um, said, backbone)
    spec = add(folder_of(data or context.obj), family, files, size, wishes)
    if as_json:
        print_json({"name": spec.name, "revision": spec.revision})
    else:
        typer.echo(
            f"{spec.name}, revision {spec.revision[:12]}; morula run SLIDE --{spec.task} {spec.name} --out FOLDER"
        )


@models.command("fit-scale")
def fit_scale(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="An embedder that was added.")],
    reference: Annotated[
        list[Path], typer.Argument(help="Images and slides, or folders of them: many stains and patients.")
    ],
    segmenter: Annotated[
        str | None, typer.Option(help="Model that finds their cells.", show_default="the preset's")
    ] = None,
    mpp: Annotated[float, typer.Option(min=0.01, max=10, help="Microns per pixel of plain images.")] = 0.5,
    new_name: Annotated[
        str | None, typer.Option("--as", help="Name of the scaled one; the other stays.", show_default="the same")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Fit location and scale of an embedder's numbers to a reference set: slides are never scaled by themselves."""
    from morula.gateway.pipeline.presets import PRESETS
    from morula.onebox import scaling
    from morula.onebox.progress import counted

    finder = segmenter or PRESETS["default"]["segmenter"]
    with counted("Describing cells", console()) as tell:
        done = scaling.fit_scale(name, reference, folder_of(data or context.obj), finder, mpp, tell, new_name)
    if as_json:
        print_json(
            {
                "name": done.spec.name,
                "revision": done.spec.revision,
                "former_revision": done.former,
                "cell_count": done.cell_count,
                "source_count": done.source_count,
                "unembedded_cell_count": done.lost_count,
                "left_out": [str(path) for path in done.left_out],
            }
        )
        return
    for path in done.left_out:
        typer.echo(f"{path} is left out: it is neither an image nor of a slide", err=True)
    lost = f" ({done.lost_count:,} more have no vector)" if done.lost_count else ""
    typer.echo(
        f"{done.spec.name}, revision {done.spec.revision[:12]}: scaled by {done.cell_count:,} cells of "
        f"{done.source_count} images and slides{lost}; morula run SLIDE --embedder {done.spec.name} --out FOLDER"
    )
    if done.spec.name == name:
        typer.echo(
            f"Jobs of revision {done.former[:12]} stay as they are; what starts from now on makes vectors anew, and a "
            f"job of the former revision that has not ended is to be started again."
        )
