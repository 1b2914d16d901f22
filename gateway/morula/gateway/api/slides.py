"""Slides: taken in, listed, looked at."""

import asyncio
import math
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from sqlalchemy import Connection

from morula.common.errors import InvalidArgument, NotFound
from morula.common.regions import FARTHEST_PX
from morula.gateway import references
from morula.gateway.api.waiting import while_waited
from morula.gateway.components import Components, Here
from morula.gateway.contract import created, served
from morula.gateway.intake import Description
from morula.gateway.ledger import boards, deletion, slides
from morula.gateway.ledger.records import Record, Slice
from morula.gateway.lists import Wanted, cursor_after
from morula.gateway.ranges import send_bytes
from morula.gateway.refs import slide_ref
from morula.gateway.schemas import Slide, SlideFields, SlideReference, Slides
from morula.v1.tiler_pb2 import RenderRegionRequest

router = APIRouter(prefix="/v1/slides", tags=["slides"])

TILE_PX = 512
THUMBNAIL_LIMIT_PX = 2048
Corner = Annotated[int, Query(ge=-FARTHEST_PX, le=FARTHEST_PX)]
Side = Annotated[int, Query(ge=1, le=2048)]

_FILES = {"type": "array", "minItems": 1, "items": {"type": "string", "contentMediaType": "application/octet-stream"}}
_FORM = SlideFields.model_json_schema()
# FastAPI parses neither body: a form is read as it comes in, and a reference after the content type is known.
SLIDE_BODIES = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {**_FORM, "required": ["file"], "properties": {"file": _FILES, **_FORM["properties"]}}
            },
            "application/json": {"schema": SlideReference.model_json_schema()},
        },
    }
}


@router.post("", status_code=201, response_model=Slide, responses=created(201, Slide), openapi_extra=SLIDE_BODIES)
async def create_slide(request: Request, response: Response, here: Here) -> Slide:
    """Take a slide in: an upload (multipart, `file` one or more times) or a reference (JSON, `path` or `key`)."""
    content_type = request.headers.get("content-type", "")
    if content_type.startswith("application/json"):
        row, created = await _by_reference(request, here)
    else:
        row, created = await _by_upload(request, content_type, here)
    response.status_code = 201 if created else 200
    response.headers["Location"] = f"/v1/slides/{row['id']}"
    return await here.ledger.read(slide_answer, row["id"])


def slide_answer(tx: Connection, slide_id: str) -> Slide:
    """A slide with the labellings that it has."""
    return _answers(tx, [slides.get_slide(tx, slide_id)])[0]


def _answers(tx: Connection, rows: Sequence[Record]) -> list[Slide]:
    labellings = boards.boards_of_slides(tx, [row["id"] for row in rows])
    return [Slide.model_validate({**row, "labellings": labellings[row["id"]]}) for row in rows]


async def _by_upload(request: Request, content_type: str, here: Components) -> tuple[Record, bool]:
    declared = request.headers.get("content-length", "0")
    length = int(declared) if declared.isdecimal() else 0
    upload = await here.uploads.receive(request.stream(), content_type, length)
    try:
        fields = _checked(SlideFields, {name: value for name, value in upload.fields.items() if value})
        row, created = await here.intake.take_files(upload.parts, Description(**fields.model_dump()))
    finally:
        await asyncio.to_thread(here.uploads.discard, upload)
    return row, created


async def _by_reference(request: Request, here: Components) -> tuple[Record, bool]:
    try:
        reference = SlideReference.model_validate_json(await request.body())
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error
    description = Description(**reference.model_dump(exclude={"path", "key"}))
    if (reference.path is None) == (reference.key is None):
        raise InvalidArgument("Name the slide either by its path below a named folder or by its key in the store.")
    if reference.path is not None:
        parts = await asyncio.to_thread(references.refer, here.settings.folders, reference.path)
        row, created = await here.intake.take_files(parts, description)
    else:
        row, created = await here.intake.take_key(str(reference.key), description)
    return row, created


def _checked(kind: type[SlideFields], fields: dict[str, str]) -> SlideFields:
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error


@router.get("", response_model=Slides)
async def list_slides(here: Here, wanted: Wanted) -> Slides:
    """Slides, newest first."""
    return await here.ledger.read(_part, here.project, wanted)


def _part(tx: Connection, project: str, wanted: Slice) -> Slides:
    part = slides.list_slides(tx, project, wanted)
    return Slides(slides=_answers(tx, part.rows), next_cursor=cursor_after(part))


@router.get("/{slide_id}", response_model=Slide)
async def get_slide(slide_id: str, here: Here) -> Slide:
    """One slide."""
    return await here.ledger.read(slide_answer, slide_id)


@router.delete("/{slide_id}", status_code=204, response_class=Response, responses={202: {"model": Slide}})
async def delete_slide(slide_id: str, here: Here) -> Response:
    """Delete a slide with its jobs. Where one of them is under way it is stopped first (202)."""
    stopping = await here.ledger.write(_delete, slide_id)
    return Response(status_code=204) if stopping is None else JSONResponse(stopping.model_dump(mode="json"), 202)


def _delete(tx: Connection, slide_id: str) -> Slide | None:
    gone = deletion.delete_slide(tx, slide_id)
    return None if gone else slide_answer(tx, slide_id)


@router.get("/{slide_id}/tiles/{zoom}/{column}_{row}.jpeg", response_class=Response, responses=served("image/jpeg"))
async def get_tile(slide_id: str, zoom: int, column: int, row: int, request: Request, here: Here) -> Response:
    """A picture of 512 px; one of its pixels is 2**zoom level-0 pixels wide."""
    slide = await here.ledger.read(slides.get_slide, slide_id)
    side_px = TILE_PX * 2**zoom if 0 <= zoom <= 20 else 0
    inside = side_px and 0 <= column * side_px < slide["width_px"] and 0 <= row * side_px < slide["height_px"]
    if not inside:
        raise NotFound("The slide has no tile there.", slide_id=slide_id)
    etag = f"{slide['digest']}-{zoom}-{column}-{row}"
    if request.headers.get("if-none-match") == f'"{etag}"':
        return send_bytes(request, b"", "image/jpeg", etag)
    width_px = min(TILE_PX, math.ceil((slide["width_px"] - column * side_px) / 2**zoom))
    height_px = min(TILE_PX, math.ceil((slide["height_px"] - row * side_px) / 2**zoom))
    place = RenderRegionRequest(
        x_px=column * side_px, y_px=row * side_px, width_px=width_px, height_px=height_px, downsample=2.0**zoom
    )
    return send_bytes(request, await while_waited(request, _render(here, slide_id, place)), "image/jpeg", etag)


@router.get("/{slide_id}/thumbnail.jpeg", response_class=Response, responses=served("image/jpeg"))
async def get_thumbnail(slide_id: str, request: Request, here: Here, max_px: int = 512) -> Response:
    """The whole slide in one small picture."""
    if not 16 <= max_px <= THUMBNAIL_LIMIT_PX:
        raise InvalidArgument(f"max_px must be 16 to {THUMBNAIL_LIMIT_PX}, not {max_px}.")
    slide = await here.ledger.read(slides.get_slide, slide_id)
    downsample = max(1.0, max(slide["width_px"], slide["height_px"]) / max_px)
    place = RenderRegionRequest(
        width_px=max(1, round(slide["width_px"] / downsample)),
        height_px=max(1, round(slide["height_px"] / downsample)),
        downsample=downsample,
    )
    etag = f"{slide['digest']}-thumbnail-{max_px}"
    return send_bytes(request, await while_waited(request, _render(here, slide_id, place)), "image/jpeg", etag)


@router.get("/{slide_id}/region.png", response_class=Response, responses=served("image/png"))
async def get_region(
    slide_id: str,
    request: Request,
    here: Here,
    x_px: Corner = 0,
    y_px: Corner = 0,
    width_px: Side = TILE_PX,
    height_px: Side = TILE_PX,
    downsample: Annotated[float, Query(gt=0, allow_inf_nan=False)] = 1.0,
) -> Response:
    """Pixels without loss: so many from a level-0 corner on, each `downsample` level-0 pixels wide."""
    slide = await here.ledger.read(slides.get_slide, slide_id)
    etag = f"{slide['digest']}-{x_px}-{y_px}-{width_px}-{height_px}-{downsample!r}"
    place = RenderRegionRequest(
        x_px=x_px, y_px=y_px, width_px=width_px, height_px=height_px, downsample=downsample, lossless=True
    )
    return send_bytes(request, await while_waited(request, _render(here, slide_id, place)), "image/png", etag)


async def _render(here: Components, slide_id: str, place: RenderRegionRequest) -> bytes:
    slide = await here.ledger.read(slides.get_slide, slide_id)
    files = await here.ledger.read(slides.slide_files, slide_id)
    place.slide.CopyFrom(slide_ref(slide, files))
    rendered = await here.workers.render_region(place)
    return bytes(rendered.png if place.lossless else rendered.jpeg)
