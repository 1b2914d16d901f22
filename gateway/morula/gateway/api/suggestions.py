"""Suggestions for clusters: kept and shown beside them, and never a label."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from morula.common.errors import NotFound
from morula.gateway.components import Here
from morula.gateway.ledger import suggestions
from morula.gateway.suggestion_schemas import NewSuggestion, Suggestion, Suggestions

router = APIRouter(prefix="/v1/labellings", tags=["labellings"])
Node = Annotated[int, Path(ge=1, lt=2**32)]


@router.get("/{labelling_id}/suggestions", response_model=Suggestions)
async def list_suggestions(labelling_id: str, here: Here) -> Suggestions:
    """What a program suggests that clusters are (`morula suggest`); empty unless somebody asked one."""
    rows = await here.ledger.read(suggestions.list_suggestions, labelling_id)
    return Suggestions(suggestions=[Suggestion.model_validate(dict(row)) for row in rows])


@router.put("/{labelling_id}/suggestions/{node_id}", response_model=Suggestion)
async def put_suggestion(labelling_id: str, node_id: Node, body: NewSuggestion, here: Here) -> Suggestion:
    """Keep a suggestion for a cluster, in place of the one before. It changes no label."""
    snapshot = await here.labelling.learning.snapshot(labelling_id)
    view = await here.views.get(snapshot.row["clustering_id"])
    if node_id not in view.nodes:
        raise NotFound("The clustering has no cluster of this id.", node_id=str(node_id))
    classes = {one.number for one in (await here.labelling.label_set(snapshot.row["label_set_id"])).classes}
    for number in (body.class_number, *(vote.class_number for vote in body.votes)):
        if number is not None and number not in classes:
            raise NotFound(f"The label set has no class {number}.", class_number=str(number))
    row = await here.ledger.write(suggestions.put_suggestion, labelling_id, node_id, body.model_dump(mode="json"))
    return Suggestion.model_validate(dict(row))


@router.delete("/{labelling_id}/suggestions", status_code=204, response_class=Response)
async def delete_suggestions(labelling_id: str, here: Here) -> Response:
    """Forget all suggestions of a labelling."""
    await here.ledger.write(suggestions.delete_suggestions, labelling_id)
    return Response(status_code=204)
