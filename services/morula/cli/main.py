"""The `morula` command: what to do, in verbs."""

from __future__ import annotations

import importlib.metadata
import sys
from typing import Annotated

import typer

from morula.cli import (
    bench,
    evaluating,
    exporting,
    images,
    importing,
    models,
    sampling,
    slides,
    suggesting,
    training,
    upkeep,
    vectors,
)
from morula.onebox.failures import DEBUG, guarded

app = typer.Typer(
    name="morula",
    help="A whole-slide image goes in, labelled cells come out.",
    epilog="--debug anywhere on the line shows the trace of an error.",
    add_completion=False,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
)


@app.callback()
def version(
    context: typer.Context,
    wanted: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    """A whole-slide image goes in, labelled cells come out."""
    if wanted:
        typer.echo(f"morula {importlib.metadata.version('morula')}")
    elif not context.invoked_subcommand:
        typer.echo(context.get_help())


for verb in (
    slides.run,
    slides.serve,
    slides.synth,
    slides.tiles,
    bench.bench,
    images.segment,
    images.embed,
    vectors.cluster,
    evaluating.evaluate,
    sampling.sample,
    training.train,
    upkeep.doctor,
    upkeep.sweep,
):
    app.command()(verb)
app.command()(exporting.export)
app.command()(suggesting.suggest)
app.command("import")(importing.import_run)
app.add_typer(images.score, name="score")
app.add_typer(models.models, name="models")


def main() -> None:
    """The command, with one clear line per error; the trace only where it is asked for."""
    words = [word for word in sys.argv[1:] if word != DEBUG]
    guarded(lambda: app(words or ["--help"], standalone_mode=False))
