"""Label sets: the words of a project."""

from fastapi import APIRouter, Response
from sqlalchemy import Connection

from morula.gateway.components import Here
from morula.gateway.contract import created
from morula.gateway.fields import Number
from morula.gateway.label_schemas import ClassChange, LabelSet, LabelSets, NewClass, NewLabelSet
from morula.gateway.labels.service import label_set_answer
from morula.gateway.ledger import label_sets
from morula.gateway.ledger.records import Part, Record, Slice
from morula.gateway.lists import Wanted, cursor_after

router = APIRouter(prefix="/v1/label-sets", tags=["label sets"])


@router.get("", response_model=LabelSets)
async def list_label_sets(here: Here, wanted: Wanted) -> LabelSets:
    """Label sets, the default one first."""
    part, classes = await here.ledger.read(_label_sets, here.project, wanted)
    return LabelSets(label_sets=[label_set_answer(row, classes) for row in part.rows], next_cursor=cursor_after(part))


def _label_sets(tx: Connection, project: str, wanted: Slice) -> tuple[Part, list[Record]]:
    part = label_sets.list_label_sets(tx, project, wanted)
    return part, label_sets.list_classes(tx, *(row["id"] for row in part.rows))


@router.post("", status_code=201, response_model=LabelSet, responses=created(201))
async def create_label_set(body: NewLabelSet, response: Response, here: Here) -> LabelSet:
    """Add a label set; "Not a cell" comes with it."""
    classes = [(one.name, one.color) for one in body.classes]
    set_id = await here.ledger.write(label_sets.create_label_set, here.project, body.name, classes)
    response.headers["Location"] = f"/v1/label-sets/{set_id}"
    return await here.labelling.label_set(set_id)


@router.get("/{set_id}", response_model=LabelSet)
async def get_label_set(set_id: str, here: Here) -> LabelSet:
    """One label set."""
    return await here.labelling.label_set(set_id)


@router.post("/{set_id}/classes", status_code=201, response_model=LabelSet)
async def add_class(set_id: str, body: NewClass, here: Here) -> LabelSet:
    """Add a class; its number was never used before."""
    await here.ledger.write(label_sets.add_class, set_id, body.name, body.color)
    return await here.labelling.label_set(set_id)


@router.patch("/{set_id}/classes/{number}", response_model=LabelSet)
async def change_class(set_id: str, number: Number, body: ClassChange, here: Here) -> LabelSet:
    """Give a class another name or colour."""
    await here.ledger.write(label_sets.change_class, set_id, number, body.model_dump(exclude_none=True))
    return await here.labelling.label_set(set_id)
