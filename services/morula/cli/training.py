"""`morula train`: weights of one's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from morula.cli.printing import Data, folder_of
from morula.onebox.failures import WrongUse


def train(
    config: Annotated[Path, typer.Argument(help="What to learn from what (.toml).")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; one that is there goes on.", show_default="in the cache")
    ] = None,
    finish: Annotated[
        bool, typer.Option("--finish", help="Learn no more: write the files of the best weights so far.")
    ] = False,
    curve: Annotated[
        str, typer.Option(help="First learn from so many images each, such as 1,2,4,8, and show what they are worth.")
    ] = "",
    add: Annotated[bool, typer.Option("--add", help="Add the model when it is trained, by its name.")] = False,
    data: Data = None,
) -> None:
    """Train a network; a run that was stopped or killed goes on where its last checkpoint is."""
    counts = _counts(curve)
    if counts and finish:
        raise WrongUse("--curve learns, --finish does not: give one of them")
    from morula.networks.installed import imported
    from morula.onebox.models import add_trained
    from morula.training.config import read_config

    run = imported("morula.training.run").train
    told = read_config(config)
    folder = out or default_folder(told.name)
    trained = run(config, folder, typer.echo, learns=not finish, counts=counts)
    if not trained.files:
        typer.echo(f"{trained.outcome.end} at step {trained.outcome.step}; the same command goes on: {folder}")
        return
    typer.echo("\n".join(str(path) for path in (*trained.files.values(), folder / f"{told.name}.md")))
    if add:
        spec = add_trained(folder_of(data), trained.files, folder / f"{told.name}.json")
        typer.echo(
            f"{spec.name}, revision {spec.revision[:12]}; morula run SLIDE --{spec.task} {spec.name} --out FOLDER"
        )


def _counts(curve: str) -> list[int]:
    try:
        return [int(word) for word in curve.split(",") if word]
    except ValueError as error:
        raise WrongUse(f"--curve takes numbers of images, such as 1,2,4,8, not {curve!r}") from error


def default_folder(name: str) -> Path:
    """Where a run lies unless it is said."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "morula" / "training" / name
