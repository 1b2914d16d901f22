"""`morula export`: a labelling as a run of the published system in a folder, with tiles on which cells are drawn."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

from morula.common.errors import NotFound
from morula.common.published import TILE_PX, TileName
from morula.evaluator.published_files import ENDING, AnnotatedTile, Annotations, parse
from morula.onebox.client import Client, Json, id_of
from morula.onebox.failures import WrongUse
from morula.onebox.folder import DataFolder
from morula.onebox.progress import counted
from morula.onebox.published_overlays import Overlay, drawn
from morula.onebox.published_representatives import Choice, choose, name_of
from morula.onebox.published_run import MASK
from morula.onebox.results import staging
from morula.onebox.run import gateway_of

ANNOTATIONS = "final_annotations.json"
TILES, DRAWN, REPRESENTATIVES, DRAWN_AGAIN = "data_prep", "annotations", "cluster_tiles", "filtered_annotations"
"""Folders of a run, beside those that come from the gateway."""


@dataclass(frozen=True)
class Request:
    """What a person asked for."""

    of: str
    """A labelling, or a job with one."""
    out: Path
    tiles: bool = True
    """With the tiles themselves, and those with cells drawn on them."""
    overlay: Overlay = field(default_factory=Overlay)
    choice: Choice = field(default_factory=Choice)


def export(request: Request, folder: DataFolder, console: Console) -> Json:
    """How many tiles and cells each slide has in the folder asked for, which has to be empty."""
    of = id_of(request.of)
    if request.out.exists() and any(request.out.iterdir()):
        raise WrongUse(f"{request.out} is not empty: files of another run would lie among these")
    with (
        gateway_of(folder, lambda line: console.print(line, style="yellow")) as client,
        staging(request.out) as place,
    ):
        labelling = client.get(f"/v1/labellings/{_labelling_of(client, of)}")
        slides = client.get(f"/v1/clusterings/{labelling['clustering_id']}")["slides"]
        made = [_export_slide(client, labelling["id"], slide, request, place, console) for slide in slides]
        for path in sorted(place.iterdir()):
            path.replace(request.out / path.name)
    return {"out": str(request.out), "slides": made}


def _labelling_of(client: Client, asked: str) -> str:
    try:
        labelling_id = client.get(f"/v1/jobs/{asked}")["labelling_id"]
    except NotFound:
        return asked
    if labelling_id is None:
        raise WrongUse(f"the job {asked} has no clusters: there is nothing to export")
    return str(labelling_id)


def _export_slide(
    client: Client, labelling_id: str, slide: Json, request: Request, place: Path, console: Console
) -> Json:
    packed = place / "published.zip"
    client.download(f"/v1/labellings/{labelling_id}/published.zip?slide_id={slide['slide_id']}", packed)
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(place)
        names = archive.namelist()
    packed.unlink()
    listed = next(name for name in names if name.endswith(ANNOTATIONS))
    called = Path(listed).parent.name
    tiles = parse(Annotations, (place / listed).read_bytes(), listed).root
    tiles += _empty_tiles(names, tiles)
    chosen = choose(called, tiles, request.choice)
    for name, content in chosen.files.items():
        _written(place / REPRESENTATIVES / called / name, json.dumps(content, indent=2).encode())
    if request.tiles:
        again = {name_of(tile): tile for tile in chosen.tiles}
        with counted("Drawing tiles", console) as tell:
            for number, tile in enumerate(tiles):
                tell(number, len(tiles))
                _draw(
                    client, slide["slide_id"], tile, again.get(name_of(tile)), request.overlay, place / TILES / called
                )
    cells = sum(len(tile.cells) for tile in tiles)
    return {"slide_id": slide["slide_id"], "name": called, "tile_count": len(tiles), "cell_count": cells}


def _empty_tiles(names: Sequence[str], tiles: Sequence[AnnotatedTile]) -> list[AnnotatedTile]:
    """Tiles that have a mask and no cells: the list of cells does not name them."""
    named = {name_of(tile).removesuffix(ENDING) for tile in tiles}
    masks = [TileName.of(Path(name).name.removesuffix(MASK)) for name in names if name.endswith(MASK)]
    return [
        AnnotatedTile(
            tile_path=f"{TILES}/{one.slide}/{one.text}{ENDING}",
            magnification=tiles[0].magnification if tiles else one.magnification,
            x=one.x_px,
            y=one.y_px,
            cells=[],
        )
        for one in masks
        if one is not None and one.text not in named
    ]


def _draw(
    client: Client, slide_id: str, tile: AnnotatedTile, again: AnnotatedTile | None, overlay: Overlay, folder: Path
) -> None:
    """A tile, the tile with its cells, and where it has representatives, with these alone."""
    region = {"x_px": tile.x, "y_px": tile.y, "width_px": TILE_PX, "height_px": TILE_PX}
    query = "&".join(f"{name}={value}" for name, value in region.items())
    picture = client.bytes(f"/v1/slides/{slide_id}/region.png?{query}&downsample={1 / tile.magnification!r}")
    name, run = name_of(tile), folder.parent.parent
    _written(folder / name, picture)
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), np.uint8)
    passes: Sequence[tuple[str, AnnotatedTile | None]] = ((DRAWN, tile), (DRAWN_AGAIN, again))
    for stage, shown in passes:
        if shown is not None:
            sink = io.BytesIO()
            Image.fromarray(drawn(pixels, shown.cells, overlay)).save(sink, "PNG")
            _written(run / stage / folder.name / name, sink.getvalue())


def _written(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
