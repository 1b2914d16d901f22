"""`morula sample`: tiles for people to label, in batches as the published system's labelling app opens them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from morula.evaluator.sampling import Sample, sample
from morula.gateway.samples.published import FORMAT, UNKNOWN, batch_called, batch_file
from morula.onebox.failures import WrongUse
from morula.onebox.published_batches import BATCHES, FOUND
from morula.onebox.results import MANIFEST, staging
from morula.onebox.sampled import Pictures, Source, Tile, find_sources

Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class Request:
    """What to sample from, how much, and where to leave it."""

    sources: Sequence[Path]
    pictures: Sequence[Path]
    out: Path
    batch_count: int = 3
    cells_per_batch: int = 1000
    seed: int = 42
    with_clusters: bool = False
    """Whether the files say what was found of the cells: then whoever labels from them is not blind."""


def run(request: Request, tell: Tell) -> dict[str, Any]:
    """Leaves the batches and a manifest, or nothing; what the manifest says."""
    if request.batch_count < 1 or request.cells_per_batch < 1:
        raise WrongUse("a sample has at least one batch, and a batch one cell")
    if request.seed < 0:
        raise WrongUse("a seed is 0 or more")
    if any(request.out.glob(BATCHES)) or (request.out / MANIFEST).exists():
        raise WrongUse(f"{request.out} has a sample already: choose another folder with --out")
    sources = list(find_sources(request.sources, Pictures(request.pictures)))
    names = [source.slide_id for source in sources]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise WrongUse(f"the slide {twice} is there twice: name each once")
    found = sample([source.offer() for source in sources], request.batch_count, request.cells_per_batch, request.seed)
    tiles = {
        number: source.tiles([one.tile for one in found.tiles if one.slide == number])
        for number, source in enumerate(sources)
    }
    with staging(request.out) as folder:
        manifest = _manifest(request, found, tiles, sources)
        for number in range(1, request.batch_count + 1):
            _write_batch(folder / batch_called(number), number, request, found, tiles, sources, tell)
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        for path in sorted(folder.iterdir()):
            path.replace(request.out / path.name)
    return manifest


def _write_batch(
    folder: Path,
    number: int,
    request: Request,
    found: Sample,
    tiles: dict[int, dict[int, Tile]],
    sources: Sequence[Source],
    tell: Tell,
) -> None:
    folder.mkdir()
    mine = [one for one in found.tiles if one.batch == number]
    entries = []
    for one in mine:
        tile = tiles[one.slide][one.tile]
        (folder / _picture_name(tile)).write_bytes(sources[one.slide].picture(tile))
        entries.append(tile if request.with_clusters else _blind(tile))
        tell(found.tiles.index(one) + 1, len(found.tiles))
    with (folder / FOUND).open("wb") as sink:
        sink.writelines(batch_file(number, entries))


def _blind(tile: Tile) -> Tile:
    return {**tile, "cells": [{**cell, **UNKNOWN} for cell in tile["cells"]]}


def _picture_name(tile: Tile) -> str:
    return f"{tile['slide_id']}__{tile['tile_name']}.png"


def _manifest(
    request: Request, found: Sample, tiles: dict[int, dict[int, Tile]], sources: Sequence[Source]
) -> dict[str, Any]:
    """As the published system's notebook writes it, and what is in no batch."""
    batches: dict[str, dict[str, int]] = {}
    listed = []
    for one in found.tiles:
        tile, batch = tiles[one.slide][one.tile], batch_called(one.batch)
        of_batch = batches.setdefault(batch, {"tiles": 0, "cells": 0})
        of_batch["tiles"] += 1
        of_batch["cells"] += one.cells
        names = {name: tile[name] for name in ("slide_id", "tile_name", "magnification", "x", "y")}
        listed.append(
            {"batch": batch, **names, "cell_count": one.cells, "local_path": f"{batch}/{_picture_name(tile)}"}
        )
    return {
        "format": FORMAT,
        "num_batches": request.batch_count,
        "cells_per_batch": request.cells_per_batch,
        "random_seed": request.seed,
        "blind": not request.with_clusters,
        "total_tiles_sampled": len(found.tiles),
        "total_cells_sampled": sum(one.cells for one in found.tiles),
        "batches": batches,
        "tiles": listed,
        "left_out": [
            {"slide_id": sources[one.slide].slide_id, "reason": one.reason, "tiles": one.tiles, "cells": one.cells}
            for one in found.left_out
        ],
    }
