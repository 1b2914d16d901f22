"""A sample as files of the published system: `cell_labels.json` of a batch, blind, and `human_labels_*.json`.

Its words for a cell are the slide, the tile and a number. Fields of ours stand beside them, so that a file finds its
cells again anywhere: `uuid` of a cell, `classes`, `annotator`, `badly_segmented`.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from morula.gateway.ledger.records import Record
from morula.gateway.samples.state import Said
from morula.gateway.views import Ring

FORMAT = 1
SLIDE_LETTERS = 20
UNKNOWN = {"pred_class": "Unclassified", "cluster_id": None, "cluster_confidence": None}
"""What a blind file says of a cell."""
ENDING = ".png"
EDGE_PX = 0.5
"""Its outlines run through the middles of pixels, ours along their edges."""


def slide_called(slide: Mapping[str, Any]) -> str:
    """A slide's name there: the beginning of ours, and what is its own."""
    kept = "".join(letter for letter in slide["name"] if letter.isalnum() or letter in " -_")
    own = hashlib.sha256(slide["digest"].encode()).hexdigest()[:8]
    return f"{kept[:SLIDE_LETTERS].strip()}_{own}".replace(" ", "_")


def names_of(tile: Mapping[str, Any], slide: Mapping[str, Any]) -> tuple[str, str]:
    """What slide and tile are called there: as in the file that the tile came in by, if it did."""
    named = tile.get("named")
    if named is not None:
        return named["slide_id"], named["tile_name"]
    return slide_called(slide), tile_called(tile, slide)


def numbers_of(tile: Mapping[str, Any]) -> Sequence[int]:
    """What the tile's cells are called there, in their order."""
    named = tile.get("named")
    return named["numbers"] if named is not None else range(1, len(tile["cell_ids"]) + 1)


def tile_called(tile: Mapping[str, Any], slide: Mapping[str, Any]) -> str:
    """A tile's name there, without an ending."""
    whole, hundredths = divmod(int(magnification(tile, slide) * 100), 100)
    place = f"X_{tile['x_px']}__Y_{tile['y_px']}__IDX_{tile['tile']:06d}"
    return f"{slide_called(slide)}__MAG_{whole}d{hundredths:02d}__{place}"


def magnification(tile: Mapping[str, Any], slide: Mapping[str, Any]) -> float:
    """Working pixels for a level-0 pixel."""
    return float(slide["slide_mpp"] / tile["mpp"])


def batch_called(number: int) -> str:
    return f"batch_{number}"


def cell_labels(
    number: int, tiles: Sequence[Record], slides: Sequence[Record], outlines: Callable[[Record, Record], list[Ring]]
) -> Iterator[bytes]:
    """`cell_labels.json` of a batch, tile by tile: cells with their outlines, and nothing that was found of them."""
    return batch_file(
        number, (tile_entry(tile, slides[tile["slide"]], outlines(slides[tile["slide"]], tile)) for tile in tiles)
    )


def batch_file(number: int, tiles: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """The file of a batch, tile by tile."""
    yield f'{{"batch": {number}, "format": {FORMAT}, "tiles": ['.encode()
    for place, tile in enumerate(tiles):
        yield ("," if place else "").encode() + json.dumps(tile).encode()
    yield b"]}\n"


def tile_entry(tile: Mapping[str, Any], slide: Mapping[str, Any], rings: Sequence[Ring]) -> dict[str, Any]:
    """A tile with the outlines of its cells."""
    slide_name, name = names_of(tile, slide)
    return {
        "slide_id": slide_name,
        "tile_name": name,
        "tile_path": f"{slide_name}/{name}{ENDING}",
        "magnification": magnification(tile, slide),
        "x": tile["x_px"],
        "y": tile["y_px"],
        "cells": list(_cells(tile, slide, rings)),
    }


def _cells(tile: Mapping[str, Any], slide: Mapping[str, Any], rings: Sequence[Ring]) -> Iterator[dict[str, Any]]:
    scale = magnification(tile, slide)
    for number, uuid, ring in zip(numbers_of(tile), tile["cell_ids"], rings, strict=True):
        polygon = [
            [round((x - tile["x_px"]) * scale - EDGE_PX, 2), round((y - tile["y_px"]) * scale - EDGE_PX, 2)]
            for x, y in ring
        ]
        xs, ys = zip(*polygon, strict=True)
        yield {
            "cell_id": number,
            "label_id": number,
            "uuid": uuid,
            "polygon": polygon,
            "bbox": [math.floor(min(xs)), math.floor(min(ys)), math.ceil(max(xs)), math.ceil(max(ys))],
            **UNKNOWN,
        }


def human_labels(
    batch: int,
    sample: Record,
    said: tuple[str, Said],
    tiles: Sequence[Record],
    slides: Sequence[Record],
    classes: Sequence[Record],
) -> dict[str, Any]:
    """`human_labels_*.json` of a batch: what one annotator said, with the names of the classes."""
    annotator, words = said
    return {
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        "batch": batch_called(batch),
        "source_dir": sample["name"],
        "format": FORMAT,
        "sample_id": sample["id"],
        "sample_seq": sample["seq"],
        "annotator": annotator,
        "classes": [{"number": one["number"], "name": one["name"], "color": one["color"]} for one in classes],
        "tiles": [
            written
            for index, tile in enumerate(tiles)
            if (written := _labelled(index, tile, slides[tile["slide"]], words)) is not None
        ],
    }


def _labelled(index: int, tile: Record, slide: Record, words: Said) -> dict[str, Any] | None:
    """What was said of a tile; None where nothing was."""
    number, numbers = tile["number"], numbers_of(tile)
    cells = [
        {"cell_id": numbers[at], "human_label": words.classes[number, at + 1], "uuid": uuid}
        for at, uuid in enumerate(tile["cell_ids"])
        if (number, at + 1) in words.classes
    ]
    flagged = [numbers[at] for at in range(tile["cell_count"]) if (number, at + 1) in words.flagged]
    if not cells and not flagged:
        return None
    slide_name, name = names_of(tile, slide)
    return {
        "tile_index": index,
        "slide_id": slide_name,
        "tile_name": name,
        "total_cells": tile["cell_count"],
        "labelled_cells": cells,
        "badly_segmented": flagged,
    }


def file_name() -> str:
    """A name with the time, as the published system gives it."""
    return f"human_labels_{datetime.now(UTC):%Y%m%d_%H%M%S}.json"
