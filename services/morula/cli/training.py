"""`morula train`: weights of one's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def train(
    config: Annotated[Path, typer.Argument(help="What to learn from what (.toml).")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; one that is there goes on.", show_default="in the cache")
    ] = None,
) -> None:
    """Train a network; a run that was stopped or killed goes on where its last checkpoint is."""
    from morula.training.config import read_config
    from morula.training.run import train as run

    folder = out or default_folder(read_config(config).name)
    outcome = run(config, folder, typer.echo)
    typer.echo(
        f"{outcome.end} after {outcome.step} steps; best {outcome.best_score:.4f} at {outcome.best_step}: {folder}"
    )


def default_folder(name: str) -> Path:
    """Where a run lies unless it is said."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "morula" / "training" / name
