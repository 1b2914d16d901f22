"""Samples as answers of the API."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from morula.gateway.ledger import samples
from morula.gateway.ledger.records import Record
from morula.gateway.sample_schemas import (
    Annotator,
    Sample,
    SampleBatch,
    SampleLeftOut,
    SampleSlide,
    SampleTile,
)
from morula.gateway.samples.state import Said, Words, counts


def sample_answer(tx: Connection, row: Record, words: Words, annotator: str, label_set: object) -> Sample:
    """A sample with the progress of one annotator."""
    slides = samples.sample_slides(tx, row["id"])
    tiles = samples.sample_tiles(tx, row["id"])
    said = words.of(annotator)
    return Sample.model_validate(
        {
            **row,
            "label_set": label_set,
            "tile_count": len(tiles),
            "cell_count": sum(tile["cell_count"] for tile in tiles),
            "slides": [_slide(slide, tiles) for slide in slides],
            "left_out": [_left_out(one, slides) for one in row["left_out"]],
            "seq": words.seq,
            "annotator": annotator,
            "batches": _batches(tiles, said),
            "annotators": [
                Annotator(name=name, labelled_count=len(one.classes), flagged_count=len(one.flagged))
                for name, one in sorted(words.by.items())
            ],
            "can_undo": said.last.seq if said.last is not None else None,
        }
    )


def _slide(slide: Record, tiles: Sequence[Record]) -> SampleSlide:
    mine = [tile["cell_count"] for tile in tiles if tile["slide"] == slide["position"]]
    return SampleSlide(
        slide_id=slide["slide_id"],
        job_id=slide["job_id"],
        name=slide["name"],
        tile_count=len(mine),
        cell_count=sum(mine),
    )


def _left_out(stored: Mapping[str, Any], slides: Sequence[Record]) -> SampleLeftOut:
    slide = slides[stored["slide"]]
    return SampleLeftOut.model_validate({**stored, "slide_id": slide["slide_id"], "name": slide["name"]})


def _batches(tiles: Sequence[Record], said: Said) -> list[SampleBatch]:
    batch_of = {tile["number"]: tile["batch"] for tile in tiles}
    labelled = Counter(batch_of[tile] for tile, _ in said.classes)
    flagged = Counter(batch_of[tile] for tile, _ in said.flagged)
    sizes: dict[int, list[int]] = {}
    for tile in tiles:
        sizes.setdefault(tile["batch"], []).append(tile["cell_count"])
    return [
        SampleBatch(
            number=number,
            tile_count=len(cells),
            cell_count=sum(cells),
            labelled_count=labelled[number],
            flagged_count=flagged[number],
        )
        for number, cells in sorted(sizes.items())
    ]


def tile_answers(tiles: Sequence[Record], slides: Sequence[Record], said: Said) -> list[SampleTile]:
    """Tiles with the progress of one annotator."""
    labelled, flagged = counts(said.classes), counts(said.flagged)
    return [
        SampleTile.model_validate(
            {
                **tile,
                "slide_id": slides[tile["slide"]]["slide_id"],
                "slide_name": slides[tile["slide"]]["name"],
                "labelled_count": labelled.get(tile["number"], 0),
                "flagged_count": flagged.get(tile["number"], 0),
            }
        )
        for tile in tiles
    ]


def tile_answer(tile: Record, slide: Record, said: Said) -> SampleTile:
    """One tile with the progress of one annotator."""
    return tile_answers([{**tile, "slide": 0}], [slide], said)[0]
