"""Labellings: their events, their state, and the next page."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy import Connection

from morula.common.errors import InvalidArgument, NotFound
from morula.gateway.components import Components, Here, Who
from morula.gateway.contract import BYTES, created, served
from morula.gateway.fields import Number
from morula.gateway.label_schemas import (
    AppendedState,
    Cut,
    CutRequest,
    Event,
    Events,
    Labellings,
    NewLabelling,
    Page,
    State,
)
from morula.gateway.labels.fold import check_unchanged, check_undo
from morula.gateway.labels.kinds import NO_CLUSTER, AnyKind, NewEvent, PageNamed, Undone
from morula.gateway.labels.learning import Snapshot
from morula.gateway.labels.paging import PageWish
from morula.gateway.ledger import clusterings, deletion, label_sets, labels
from morula.gateway.lists import Wanted, cursor_after
from morula.gateway.ranges import send_object
from morula.gateway.refs import from_json
from morula.gateway.views import ClusteringView
from morula.v1.labeller_pb2 import LearnLabelsResponse

router = APIRouter(prefix="/v1/labellings", tags=["labellings"])


@router.post("", status_code=201, response_model=State, responses=created(201))
async def create_labelling(body: NewLabelling, response: Response, here: Here) -> State:
    """Begin a labelling of a clustering: empty, or with what was said of the same cells in another labelling."""
    if body.from_labelling_id is None:
        labelling_id = await here.ledger.write(_create, here.project, body)
    else:
        labelling_id = await here.moving.begin(body.clustering_id, body.from_labelling_id)
    response.headers["Location"] = f"/v1/labellings/{labelling_id}"
    return await here.labelling.state(labelling_id)


def _create(tx: Connection, project: str, body: NewLabelling) -> str:
    clustering = clusterings.get_clustering(tx, body.clustering_id)
    label_set_id = body.label_set_id or label_sets.default_label_set(tx, project)
    label_sets.get_label_set(tx, label_set_id)
    return labels.create_labelling(tx, clustering["id"], label_set_id, clustering["cluster_count"])


@router.get("", response_model=Labellings)
async def list_labellings(clustering_id: str, here: Here, wanted: Wanted) -> Labellings:
    """Labellings of a clustering, oldest first."""
    part = await here.ledger.read(labels.list_labellings, clustering_id, wanted)
    states = []
    for row in part.rows:
        with suppress(NotFound):  # Deleted meanwhile.
            states.append(await here.labelling.state(row["id"]))
    return Labellings(labellings=states, next_cursor=cursor_after(part))


@router.get("/{labelling_id}", response_model=State)
async def get_labelling(labelling_id: str, here: Here) -> State:
    """A labelling as it is now."""
    return await here.labelling.state(labelling_id)


@router.delete("/{labelling_id}", status_code=204, response_class=Response)
async def delete_labelling(labelling_id: str, here: Here) -> Response:
    """Delete a labelling with all that was said in it. Nothing brings it back."""
    await here.ledger.write(deletion.delete_labelling, labelling_id)
    return Response(status_code=204)


@router.get("/{labelling_id}/page", response_model=Page, responses={204: {"description": "Every cell was seen."}})
async def get_page(
    labelling_id: str,
    here: Here,
    node_id: Annotated[int, Query(ge=0, lt=2**32)] = 0,
    cell_count: Annotated[int, Query(ge=1, le=12)] = 12,
    noise: bool = False,
) -> Page | Response:
    """The page of cells that is worth most, or the best one of a cluster, or of the cells in no cluster (`noise`)."""
    if noise and node_id:
        raise InvalidArgument("Cells in no cluster have no node_id.")
    page = await here.paging.next_page(labelling_id, PageWish(node_id, cell_count, noise))
    return page if page is not None else Response(status_code=204)


@router.get("/{labelling_id}/pages/{seq}", response_model=Page)
async def get_named_page(labelling_id: str, seq: Number, here: Here) -> Page:
    """A page that was named before, as it was shown; its `reason` is not kept and reads `requested`."""
    log = await here.ledger.read(labels.list_events, labelling_id)
    return await here.paging.named_page(labelling_id, log, seq)


@router.post("/{labelling_id}/events", status_code=201, response_model=AppendedState)
async def append_event(labelling_id: str, body: NewEvent, here: Here, who: Who) -> AppendedState:
    """Say something. It is durable once this answers, also where the labeller is away.

    412 STALE where `expected_seq` is not the newest event, or where cells of a named page were named by somebody else
    since `page_seq`: nothing was written then.
    """
    snapshot = await here.labelling.learning.snapshot(labelling_id)
    event = body.root.model_copy(update={"actor": who.actor(body.root.actor)})
    await _check(here, snapshot, event)
    seq = await here.ledger.write(append_checked, snapshot, event)
    await here.labelling.learning.learn(labelling_id)
    return AppendedState(event_seq=seq, **dict(await here.labelling.state(labelling_id)))


def append_checked(tx: Connection, snapshot: Snapshot, event: AnyKind) -> int:
    """Append an event if it is still valid after all events before it; else raise, and nothing is written."""
    labelling_id = snapshot.row["id"]
    seq = labels.append_event(tx, labelling_id, event.actor, event.kind, event.body.model_dump(), event.expected_seq)
    # Checked after the append, whose lock makes other writers wait. To keep that short, only events since the snapshot
    # are read here.
    since = labels.list_events(tx, labelling_id, snapshot.labels.seq)
    before = [*snapshot.events, *(earlier for earlier in since if earlier.seq < seq)]
    if isinstance(event, Undone):
        check_undo(before, event.body.seq)
    elif isinstance(event, PageNamed):
        check_unchanged(before, event.body.page_seq, [cell.row for cell in event.body.cells])
    return seq


async def _check(here: Components, snapshot: Snapshot, event: AnyKind) -> None:
    """Refuse an event that names a row, class or node that does not exist."""
    view = await here.views.get(snapshot.row["clustering_id"])
    label_set = await here.labelling.label_set(snapshot.row["label_set_id"])
    numbers = {one.number for one in label_set.classes}
    wrong = _unknown(event.body.model_dump(), view, numbers)
    if wrong is not None:
        raise RequestValidationError([{"loc": ("body", "body"), "msg": wrong, "type": "value_error"}])


def _unknown(body: dict[str, Any], view: ClusteringView, numbers: set[int]) -> str | None:
    if any(row >= view.cell_count for row in _called("row", body)):
        return f"the clustering has the rows 0 to {view.cell_count - 1}"
    if any(number not in numbers for number in _called("class_number", body) if number):
        return "the label set has no class of this number"
    if any(node not in view.nodes for node in _called("node_id", body) if node != NO_CLUSTER):
        return "the clustering has no node of this id"
    return None


def _called(name: str, body: Any) -> Iterator[Any]:
    """All values under this name in a body of any kind, at any depth."""
    if isinstance(body, dict):
        if name in body:
            yield body[name]
        body = list(body.values())
    if isinstance(body, list):
        for part in body:
            yield from _called(name, part)


@router.get("/{labelling_id}/events", response_model=Events)
async def list_events(labelling_id: str, here: Here, wanted: Wanted) -> Events:
    """What was said, oldest first."""
    part = await here.ledger.read(labels.part_of_events, labelling_id, wanted)
    return Events(events=[Event.model_validate(row) for row in part.rows], next_cursor=cursor_after(part))


@router.get("/{labelling_id}/cut", response_model=Cut)
async def get_cut(labelling_id: str, here: Here) -> Cut:
    """The cut that the labelling is looked at with."""
    return await here.labelling.shown_cut(labelling_id)


@router.put("/{labelling_id}/cut", response_model=Cut)
async def set_cut(labelling_id: str, body: CutRequest, here: Here) -> Cut:
    """Look at the labelling with another number of clusters. No label changes."""
    snapshot = await here.labelling.learning.snapshot(labelling_id)
    view = await here.views.get(snapshot.row["clustering_id"])
    if body.cluster_count > view.leaf_count:
        raise InvalidArgument(f"cluster_count is at most {view.leaf_count} for this clustering.")
    await here.labelling.learning.cut(view, body.cluster_count)
    await here.ledger.write(labels.set_cut, labelling_id, body.cluster_count)
    await here.labelling.learning.learn(labelling_id)
    return await here.labelling.shown_cut(labelling_id)


@router.get("/{labelling_id}/layers/{version}/{layer}", response_class=Response, responses=served(BYTES))
async def get_label_layer(
    labelling_id: str, version: Number, layer: Literal["class", "confidence"], request: Request, here: Here
) -> Response:
    """One byte for each row: its class by the model (0 none, 255 not sure), or the model's confidence in it."""

    async def send() -> Response:
        row = await here.ledger.read(labels.get_layer, labelling_id, version)
        learnt = from_json(row["learnt"], LearnLabelsResponse)
        ref = learnt.class_layer if layer == "class" else learnt.confidence_layer
        if not ref.key:
            raise NotFound("There is no model yet: it needs named cells of two classes.", version=str(version))
        return await send_object(request, here.store, ref, BYTES)

    return await here.labelling.learning.reading(labelling_id, send)
