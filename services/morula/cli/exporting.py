"""`morula export`: what was found and labelled, as the published system leaves it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from morula.cli.printing import AsJson, Data, console, folder_of, print_json


def export(
    of: Annotated[str, typer.Argument(metavar="JOB_OR_LABELLING", help="Id of a finished job, or of a labelling.")],
    out: Annotated[Path, typer.Option(help="Empty folder for the run.")],
    tiles: Annotated[bool, typer.Option("--tiles/--no-tiles", help="Tiles, and tiles with cells drawn on.")] = True,
    max_items: Annotated[int, typer.Option(min=1, help="So many representatives of each cluster.")] = 20,
    threshold: Annotated[float, typer.Option(min=0, max=1, help="How sure of its cluster one has to be.")] = 0.0,
    max_labels: Annotated[int, typer.Option(min=0, help="So many cells are drawn on a tile.")] = 100,
    random_labels: Annotated[bool, typer.Option("--random-labels", help="Any of them, not the first.")] = False,
    draw_bbox: Annotated[bool, typer.Option("--draw-bbox", help="Draw boxes.")] = False,
    draw_polygon: Annotated[bool, typer.Option("--draw-polygon/--no-draw-polygon", help="Draw outlines.")] = True,
    text: Annotated[bool, typer.Option("--text/--no-text", help="Write beside each cell what is known of it.")] = True,
    text_use: Annotated[
        list[str] | None,
        typer.Option(help="pred_class, cluster_id, cluster_confidence.", show_default="both of the cluster"),
    ] = None,
    text_scale: Annotated[float, typer.Option(min=0.1, max=4, help="Size of the words.")] = 0.5,
    color_by: Annotated[str, typer.Option(help="cluster_id, pred_class or none.")] = "cluster_id",
    filter_unclassified: Annotated[
        bool,
        typer.Option(
            "--filter-unclassified/--keep-unclassified", help="Where classes are shown, leave out cells without one."
        ),
    ] = True,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Write masks, boxes, clusters, classes, outlines, tiles and representatives as the published system does."""
    from morula.onebox import exporting
    from morula.onebox.published_overlays import overlay_of
    from morula.onebox.published_representatives import Choice
    from morula.onebox.serve import terminating

    overlay = overlay_of(
        max_labels=max_labels,
        random_labels=random_labels,
        draw_bbox=draw_bbox,
        draw_polygon=draw_polygon,
        text=text,
        text_use=text_use,
        text_scale=text_scale,
        color_by=color_by,
        filter_unclassified=filter_unclassified,
    )
    request = exporting.Request(of, out, tiles, overlay, Choice(threshold, max_items))
    with terminating():
        told = exporting.export(request, folder_of(data), console())
    if as_json:
        print_json(told)
        return
    for one in told["slides"]:
        typer.echo(f"{one['name']}: {one['tile_count']:,} tiles with {one['cell_count']:,} cells: {told['out']}")
