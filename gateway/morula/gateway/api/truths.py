"""Truths: brought, listed, deleted."""

import asyncio
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from pydantic_core import from_json
from sqlalchemy import Connection

from morula.common.errors import InvalidArgument, NotFound, TooLarge
from morula.gateway import references
from morula.gateway.components import Components, Here
from morula.gateway.contract import created
from morula.gateway.evaluation_schemas import SampleTruth, Truth, TruthFields, TruthReference, Truths
from morula.gateway.ledger import deletion, truths
from morula.gateway.ledger.records import Record, Slice
from morula.gateway.lists import Wanted, cursor_after
from morula.gateway.samples.truths import truth_table
from morula.gateway.uploads import Upload

router = APIRouter(prefix="/v1/truths", tags=["evaluations"])

_FILES = {
    "type": "array",
    "minItems": 1,
    "maxItems": 2,
    "items": {"type": "string", "contentMediaType": "application/octet-stream"},
}
_FORM = TruthFields.model_json_schema()
_BY_JSON = (TruthReference, SampleTruth)
LIMIT_BYTES = 128 << 20
"""More is no truth for the evaluator either."""
TRUTH_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {**_FORM, "required": ["file"], "properties": {"file": _FILES, **_FORM["properties"]}}
            },
            "application/json": {"schema": {"oneOf": [kind.model_json_schema() for kind in _BY_JSON]}},
        },
    }
}


@router.post("", status_code=201, response_model=Truth, responses=created(201, Truth), openapi_extra=TRUTH_BODY)
async def create_truth(request: Request, response: Response, here: Here) -> Truth:
    """Bring a truth (multipart, `file`): CSV of cells or points with `class`, GeoJSON with classes, or pixels as .npz.

    CSV names cells by `cell_id` or `row`, or places by `x` and `y` in level-0 px; where known also `slide`, `tile`,
    `batch`, `tissue`, `species`. An .npz has `classes`, the class of each pixel (0 is none), and where cells are told
    apart `instances`, the cell of each; `names` of the classes from 1 on, `scale`, `x`, `y` in level-0 px.

    By reference (JSON) it comes from `path` below a named folder, or from the object `key` of the store, as slides do.

    Or make one of a sample's labels as they are now (JSON, `sample_id`): what is said later is not in it. Labels that a
    sample left as `human_labels.json` are a truth, too; those of the published system need the batch's
    `cell_labels.json` beside them (`file` twice). The same bytes again are the same truth.
    """
    content_type = request.headers.get("content-type", "")
    if content_type.startswith("application/json"):
        row, is_new = await _by_json(await request.body(), here)
    else:
        row, is_new = await _of_file(request, content_type, here)
    response.status_code = 201 if is_new else 200
    response.headers["Location"] = f"/v1/truths/{row['id']}"
    return Truth.model_validate(row)


async def _of_file(request: Request, content_type: str, here: Components) -> tuple[Record, bool]:
    if not content_type.startswith("multipart/form-data"):
        raise InvalidArgument("Send the truth as multipart/form-data under 'file', or name a sample (JSON).")
    declared = request.headers.get("content-length", "0")
    upload = await here.uploads.receive(request.stream(), content_type, int(declared) if declared.isdecimal() else 0)
    try:
        if len(upload.parts) == 1:
            return await here.truths.take(upload.parts[0], _name(upload))
        both = await asyncio.to_thread(_batch, here, upload)
        try:
            return await here.truths.take(both.parts[0], _name(upload))
        finally:
            await asyncio.to_thread(here.uploads.discard, both)
    finally:
        await asyncio.to_thread(here.uploads.discard, upload)


def _batch(here: Components, upload: Upload) -> Upload:
    """Two files of the published system as one, in the same order however they came."""
    if len(upload.parts) != 2:
        raise InvalidArgument("A truth is one file, or a batch's cell_labels.json and human_labels.json.")
    files = sorted(upload.parts, key=lambda part: part.sha256)
    content = b",".join(part.path.read_bytes() for part in files)
    return here.uploads.write("batch.json", b'{"published_batch": [' + content + b"]}")


async def _by_json(body: bytes, here: Components) -> tuple[Record, bool]:
    """A truth that lies at a path or key, else labels of a sample."""
    try:
        if _is_reference(body):
            return await _by_reference(TruthReference.model_validate_json(body), here)
        return await _of_sample(SampleTruth.model_validate_json(body), here)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error


def _is_reference(body: bytes) -> bool:
    try:
        content = from_json(body)
    except ValueError:
        return False
    return isinstance(content, dict) and not content.keys().isdisjoint(("path", "key"))


async def _by_reference(reference: TruthReference, here: Components) -> tuple[Record, bool]:
    if (reference.path is None) == (reference.key is None):
        raise InvalidArgument("Name the truth either by its path below a named folder or by its key in the store.")
    content = await asyncio.to_thread(_bytes_of, here, reference)
    name = PurePosixPath(reference.path or str(reference.key)).name
    return await _take(here, name, content, reference.name or name)


def _bytes_of(here: Components, reference: TruthReference) -> bytes:
    if reference.path is not None:
        return references.read(here.settings.folders, reference.path, LIMIT_BYTES)
    key = str(reference.key)
    stored = here.store.stat(key)
    if stored is None:
        raise NotFound("The store has no object with this key.", key=key)
    if stored.size_bytes > LIMIT_BYTES:
        raise TooLarge(f"The object has {stored.size_bytes:,} bytes, and a truth at most {LIMIT_BYTES:,}.")
    return here.store.get(key)


async def _take(
    here: Components, file_name: str, content: bytes, name: str, origin: Mapping[str, Any] | None = None
) -> tuple[Record, bool]:
    upload = await asyncio.to_thread(here.uploads.write, file_name, content)
    try:
        return await here.truths.take(upload.parts[0], name, origin)
    finally:
        await asyncio.to_thread(here.uploads.discard, upload)


async def _of_sample(wanted: SampleTruth, here: Components) -> tuple[Record, bool]:
    snapshot, table = await here.ledger.read(
        truth_table,
        here.samples.snapshots,
        wanted.sample_id,
        wanted.annotator,
        leave_out_badly_segmented=wanted.leave_out_badly_segmented,
    )
    name = wanted.name or f"{snapshot.row['name']}, after event {snapshot.words.seq}"
    origin = {"sample_id": wanted.sample_id, "sample_seq": snapshot.words.seq}
    return await _take(here, "sample.csv", table, name, origin)


def _name(upload: Upload) -> str:
    try:
        fields = TruthFields.model_validate({name: value for name, value in upload.fields.items() if value})
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error
    return fields.name or upload.parts[0].name


@router.get("", response_model=Truths)
async def list_truths(here: Here, wanted: Wanted) -> Truths:
    """Truths, newest first."""
    return await here.ledger.read(_part, here.project, wanted)


def _part(tx: Connection, project: str, wanted: Slice) -> Truths:
    part = truths.list_truths(tx, project, wanted)
    return Truths(truths=[Truth.model_validate(row) for row in part.rows], next_cursor=cursor_after(part))


@router.get("/{truth_id}", response_model=Truth)
async def get_truth(truth_id: str, here: Here) -> Truth:
    """One truth."""
    return Truth.model_validate(await here.ledger.read(truths.get_truth, truth_id))


@router.delete("/{truth_id}", status_code=204, response_class=Response)
async def delete_truth(truth_id: str, here: Here) -> Response:
    """Delete a truth; 409 while there are evaluations against it."""
    await here.ledger.write(deletion.delete_truth, truth_id)
    return Response(status_code=204)
