"""`morula cluster`: what is done with vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from morula.cli.printing import AsJson, console, print_json

NAMED = 20
"""Rows that are named on the screen; the file names all."""


def cluster(
    vectors: Annotated[Path, typer.Argument(help="A table (.npy, .parquet, .h5ad), or a folder with vectors.npy.")],
    out: Annotated[Path, typer.Option(help="Folder for assignments.parquet and clusters.json.")],
    preset: Annotated[str, typer.Option(help="morula, or paper: UMAP and DBSCAN as published.")] = "morula",
    clusters: Annotated[int | None, typer.Option(min=1, help="How many.", show_default="the preset's")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**32 - 1, help="Of all that is drawn.", show_default="the preset's")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Cluster vectors of any origin, one row for each cell."""
    from morula.onebox.clustering import Request
    from morula.onebox.clustering import cluster as cluster_vectors
    from morula.onebox.serve import terminating

    with terminating():
        done = cluster_vectors(Request(vectors, out, preset, clusters, seed))
    for line in _remarks(done):
        console().print(line, style="yellow")
    if as_json:
        print_json(done)
    else:
        count, noise = len(done["clusters"]), done["noise_count"]
        typer.echo(f"{count} clusters of {done['cell_count']:,} rows, {noise:,} rows in none: {out}")


def _remarks(done: dict[str, Any]) -> list[str]:
    remarks = []
    if rows := done["unusable_rows"]:
        more = f" and {len(rows) - NAMED:,} more" if len(rows) > NAMED else ""
        listed = ", ".join(map(str, rows[:NAMED]))
        remarks.append(f"rows with numbers that are not finite are in no cluster: {listed}{more}")
    if done.get("space") == "unit vectors":
        remarks.append("too few rows for UMAP's 50 components: clustered as unit vectors, as the published system does")
    if not done["structure_found"]:
        remarks.append("no structure found: these rows are as likely to come from one cloud")
    return remarks
