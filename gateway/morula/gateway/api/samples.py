"""Samples: tiles for people to label without seeing what was found of their cells."""

import asyncio
import hashlib
import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import Connection

from morula.common.errors import NotFound
from morula.gateway.api.waiting import while_waited
from morula.gateway.components import Here, Who
from morula.gateway.contract import created, exported, served
from morula.gateway.door import LOCAL
from morula.gateway.fields import Identifier, Name, Number
from morula.gateway.labels.service import label_set_answer
from morula.gateway.ledger import deletion, label_sets, samples
from morula.gateway.ledger.records import Record, Slice
from morula.gateway.lists import Wanted, cursor_after
from morula.gateway.ranges import send_bytes
from morula.gateway.sample_schemas import (
    HumanLabels,
    NewSample,
    OpenTile,
    Sample,
    SampleAppended,
    SampleEvent,
    SampleEvents,
    Samples,
    SampleTiles,
)
from morula.gateway.samples.appending import append_event
from morula.gateway.samples.importing import import_labels
from morula.gateway.samples.kinds import NewSampleEvent
from morula.gateway.samples.published import cell_labels, file_name, human_labels
from morula.gateway.samples.snapshots import Snapshots
from morula.gateway.samples.views import sample_answer, tile_answers

router = APIRouter(prefix="/v1/samples", tags=["samples"])


def _whose(
    who: Who, annotator: Annotated[Name, Query(description="Whose labels and progress are told.")] = LOCAL
) -> str:
    return who.annotator(annotator)


Whose = Annotated[str, Depends(_whose)]


@router.post("", status_code=201, response_model=Sample, responses=created(201))
async def create_sample(body: NewSample, response: Response, here: Here, who: Who) -> Sample:
    """Sample tiles of slides whose cells were found, balanced between slides, in batches of about so many cells.

    The same seed takes the same tiles of the same jobs. What is in no batch stands under `left_out`, with the reason.
    """
    sample_id = await here.samples.make(body)
    response.headers["Location"] = f"/v1/samples/{sample_id}"
    return await here.ledger.read(_answer, here.samples.snapshots, sample_id, who.name)


def _answer(tx: Connection, snapshots: Snapshots, sample_id: str, annotator: str) -> Sample:
    snapshot = snapshots.of(tx, sample_id)
    set_id = snapshot.row["label_set_id"]
    label_set = label_set_answer(label_sets.get_label_set(tx, set_id), label_sets.list_classes(tx, set_id))
    return sample_answer(tx, snapshot.row, snapshot.words, annotator, label_set)


@router.get("", response_model=Samples)
async def list_samples(here: Here, wanted: Wanted, annotator: Whose) -> Samples:
    """Samples, newest first."""
    return await here.ledger.read(_part, here.samples.snapshots, here.project, wanted, annotator)


def _part(tx: Connection, snapshots: Snapshots, project: str, wanted: Slice, annotator: str) -> Samples:
    part = samples.list_samples(tx, project, wanted)
    return Samples(
        samples=[_answer(tx, snapshots, row["id"], annotator) for row in part.rows], next_cursor=cursor_after(part)
    )


@router.get("/{sample_id}", response_model=Sample)
async def get_sample(sample_id: str, here: Here, annotator: Whose) -> Sample:
    """One sample: its batches, what is in none, and how far an annotator is."""
    return await here.ledger.read(_answer, here.samples.snapshots, sample_id, annotator)


@router.delete("/{sample_id}", status_code=204, response_class=Response)
async def delete_sample(sample_id: str, here: Here) -> Response:
    """Delete a sample with all that was said in it. Truths that were made of it stay."""
    await here.ledger.write(deletion.delete_sample, sample_id)
    return Response(status_code=204)


@router.get("/{sample_id}/tiles", response_model=SampleTiles)
async def list_sample_tiles(
    sample_id: str, here: Here, wanted: Wanted, annotator: Whose, batch: Number | None = None
) -> SampleTiles:
    """Tiles in the order in which to label them, or those of one batch."""
    return await here.ledger.read(_tiles, here.samples.snapshots, sample_id, wanted, batch, annotator)


def _tiles(
    tx: Connection, snapshots: Snapshots, sample_id: str, wanted: Slice, batch: int | None, annotator: str
) -> SampleTiles:
    said = snapshots.of(tx, sample_id).words.of(annotator)
    part = samples.part_of_tiles(tx, sample_id, wanted, batch)
    tiles = tile_answers(part.rows, samples.sample_slides(tx, sample_id), said)
    return SampleTiles(tiles=tiles, next_cursor=cursor_after(part))


@router.get("/{sample_id}/tiles/{number}", response_model=OpenTile)
async def get_sample_tile(sample_id: str, number: Number, here: Here, annotator: Whose) -> OpenTile:
    """A tile with the outlines of its cells and what an annotator said of each: no cluster, no prediction, no score."""
    return await here.samples.open_tile(sample_id, number, annotator)


@router.get("/{sample_id}/tiles/{number}/picture.jpeg", response_class=Response, responses=served("image/jpeg"))
async def get_tile_picture(sample_id: str, number: Number, request: Request, here: Here) -> Response:
    """The tile's picture, with a margin around it."""
    jpeg = await while_waited(request, here.samples.picture(sample_id, number))
    return send_bytes(request, jpeg, "image/jpeg", await asyncio.to_thread(_digest, jpeg))


def _digest(jpeg: bytes) -> str:
    return hashlib.sha256(jpeg).hexdigest()


@router.post(
    "/{sample_id}/events",
    status_code=201,
    response_model=SampleAppended,
    responses={200: {"model": SampleAppended, "description": "It was there already."}},
)
async def append_sample_event(
    sample_id: str, body: NewSampleEvent, response: Response, here: Here, who: Who
) -> SampleAppended:
    """Say something of cells, or take back what was said. It is durable once this answers.

    The same `event_id` again is the same event (200). 412 STALE where `expected_seq` is given and is not the newest.
    """
    event = body.root.model_copy(update={"actor": who.actor(body.root.actor)})
    seq, is_new = await here.ledger.write(append_event, sample_id, event)
    response.status_code = 201 if is_new else 200
    return await here.ledger.read(_appended, here.samples.snapshots, sample_id, event.actor, seq)


def _appended(tx: Connection, snapshots: Snapshots, sample_id: str, annotator: str, seq: int) -> SampleAppended:
    words = snapshots.of(tx, sample_id).words
    said = words.of(annotator)
    return SampleAppended(
        event_seq=seq,
        seq=words.seq,
        annotator=annotator,
        labelled_count=len(said.classes),
        flagged_count=len(said.flagged),
        can_undo=said.last.seq if said.last is not None else None,
    )


@router.get("/{sample_id}/events", response_model=SampleEvents)
async def list_sample_events(sample_id: str, here: Here, wanted: Wanted) -> SampleEvents:
    """What was said, oldest first."""
    part = await here.ledger.read(samples.WORDS.part, sample_id, wanted)
    return SampleEvents(events=[SampleEvent.model_validate(row) for row in part.rows], next_cursor=cursor_after(part))


@router.get(
    "/{sample_id}/batches/{number}/cell_labels.json",
    response_class=Response,
    responses=exported("application/json"),
)
async def get_cell_labels(sample_id: str, number: Number, here: Here) -> Response:
    """A batch as the published system writes it, blind: tiles and the outlines of cells."""
    tiles, slides = await here.ledger.read(_batch, sample_id, number)
    written = cell_labels(number, tiles, slides, here.samples.outlines)
    headers = {"Content-Disposition": 'attachment; filename="cell_labels.json"'}
    return StreamingResponse(written, media_type="application/json", headers=headers)


def _batch(tx: Connection, sample_id: str, number: int) -> tuple[list[Record], list[Record]]:
    samples.get_sample(tx, sample_id)
    tiles = samples.tiles_with_cells(tx, sample_id, number)
    if not tiles:
        raise NotFound("The sample has no batch of this number.", sample_id=sample_id, number=str(number))
    return tiles, samples.sample_slides(tx, sample_id)


@router.get(
    "/{sample_id}/batches/{number}/human_labels.json",
    response_class=Response,
    responses=exported("application/json"),
)
async def get_human_labels(sample_id: str, number: Number, here: Here, annotator: Whose) -> Response:
    """What an annotator said of a batch, as the published system writes it, with the names of the classes."""
    written = await here.ledger.read(_human_labels, here.samples.snapshots, sample_id, number, annotator)
    headers = {"Content-Disposition": f'attachment; filename="{file_name()}"'}
    return Response(json.dumps(written), media_type="application/json", headers=headers)


def _human_labels(tx: Connection, snapshots: Snapshots, sample_id: str, number: int, annotator: str) -> dict[str, Any]:
    tiles, slides = _batch(tx, sample_id, number)
    snapshot = snapshots.of(tx, sample_id)
    classes = label_sets.list_classes(tx, snapshot.row["label_set_id"])
    return human_labels(number, snapshot.row, (annotator, snapshot.words.of(annotator)), tiles, slides, classes)


@router.post("/{sample_id}/labels", status_code=201, response_model=SampleAppended)
async def import_human_labels(
    sample_id: str,
    body: HumanLabels,
    here: Here,
    who: Who,
    annotator: Whose,
    event_id: Annotated[Identifier | None, Query(description="As of an event: the same again is the same.")] = None,
) -> SampleAppended:
    """Bring in `human_labels_*.json` of one of the sample's batches: one event, all labels or none.

    Classes are found by the names that the file gives them, else by their numbers; the label set gets those it lacks.
    """
    actor = who.actor(annotator)
    seq = await here.ledger.write(import_labels, sample_id, body, actor, event_id)
    return await here.ledger.read(_appended, here.samples.snapshots, sample_id, actor, seq)
