"""Clusterings that go on from others: a cluster split, the rest grouped anew, another slide added."""

from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy import Connection

from morula.common import tracing
from morula.common.errors import FailedPrecondition, InvalidArgument, NotFound
from morula.common.formats import NOISE_LEAF
from morula.common.models import Profile
from morula.gateway.api.jobs import job_answer
from morula.gateway.components import Components, Here
from morula.gateway.contract import created
from morula.gateway.ledger import clusterings, jobs, labels
from morula.gateway.ledger.records import Record
from morula.gateway.licences import check_job
from morula.gateway.pipeline.params import COHORT_STAGES, Params, cohort_params, params_digest, stored_params
from morula.gateway.pipeline.results import reopen
from morula.gateway.schemas import AdditionRequest, Job, RegroupingRequest, SplitRequest
from morula.gateway.views import ClusteringView

router = APIRouter(prefix="/v1/clusterings", tags=["clusterings"])


@router.post("/{clustering_id}/splits", status_code=202, response_model=Job, responses=created(202, Job))
async def split_cluster(clustering_id: str, body: SplitRequest, response: Response, here: Here) -> Job:
    """Have a cluster split: the job makes a clustering whose cuts show its parts, and the labels come along.

    What is split stays as it is. The new clustering can be looked at as soon as the job is in its stage `tables`.
    The same again, where nothing was said since, is the same job; what it lost is made again.
    """
    view = await here.views.get(clustering_id)
    _check_split(view, body.node_id, body.part_count)
    traceparent = tracing.outgoing().get(tracing.HEADER)
    asked = {"node_id": body.node_id, "part_count": body.part_count}
    whole = (view.id, "split", asked, body.labelling_id, traceparent, here.settings.profile)
    row, created = await here.ledger.write(_create_change, *whole)
    return await _asked_for(here, response, row, created)


def _check_split(view: ClusteringView, node_id: int, part_count: int) -> None:
    if node_id not in view.nodes:
        raise NotFound("The clustering has no cluster of this id.", node_id=str(node_id))
    node, leaf_count = view.nodes[node_id], len(view.leaves_below[node_id])
    if node.leaf is None and leaf_count < part_count:
        raise InvalidArgument(f"The cluster is of {leaf_count} parts: split it into those, and one of them further.")
    if node.cell_count < part_count:
        raise InvalidArgument(f"The cluster has fewer than {part_count} cells.")


@router.post("/{clustering_id}/regroupings", status_code=202, response_model=Job, responses=created(202, Job))
async def regroup_cells(clustering_id: str, body: RegroupingRequest, response: Response, here: Here) -> Job:
    """Have all cells grouped anew that are in no named cluster: `locked_node_ids` of the labelling stay as they are.

    The job makes a clustering whose proposed cut shows those clusters and the ones that the rest falls into by itself;
    the labels come along, and the clustering before stays. The same again, where nothing was said since, is the same
    job; what it lost is made again.
    """
    view = await here.views.get(clustering_id)
    await here.ledger.read(_labelling_of, view.id, body.labelling_id)
    locked_ids = await here.labelling.locked(body.labelling_id)
    _check_rest(view, locked_ids)
    traceparent = tracing.outgoing().get(tracing.HEADER)
    asked = {"locked_ids": locked_ids, "cluster_count": body.cluster_count}
    whole = (view.id, "regrouping", asked, body.labelling_id, traceparent, here.settings.profile)
    row, created = await here.ledger.write(_create_change, *whole)
    return await _asked_for(here, response, row, created)


def _check_rest(view: ClusteringView, locked_ids: list[int]) -> None:
    kept = set().union(*(view.leaves_below[node_id] for node_id in locked_ids))
    if len(kept) == view.leaf_count and not (view.leaf == NOISE_LEAF).any():
        raise FailedPrecondition("Every cell is in a cluster that has a name: nothing is left to group anew.")


def _create_change(
    tx: Connection,
    clustering_id: str,
    kind: str,
    asked: dict[str, Any],
    labelling_id: str | None,
    traceparent: str | None,
    profile: Profile,
) -> tuple[Record, bool]:
    """A job that makes all changes again from the clustering that cells were given, and this one last."""
    clustering = clusterings.get_clustering(tx, clustering_id)
    seen = jobs.get_job(tx, clustering["job_id"])
    (source,) = jobs.hold_sources(tx, [seen["source_job_ids"][0] if seen["kind"] in jobs.CHANGES else seen["id"]])
    check_job(tx, source, profile)
    known = stored_params(seen["params"])
    changes = [*(known.changes or []), asked]
    params = replace(known, changes=changes, change_of=clustering_id, labels_of=labelling_id)
    return _create_from(tx, clustering, kind, [source["id"]], params, traceparent)


def _create_from(
    tx: Connection, clustering: Record, kind: str, source_ids: list[str], params: Params, traceparent: str | None
) -> tuple[Record, bool]:
    """A job that goes on from a clustering, with the labels of a labelling of it where `params` name one."""
    seq = 0 if params.labels_of is None else _labelling_of(tx, clustering["id"], params.labels_of)["seq"]
    values = {
        "project_id": clustering["project_id"],
        "kind": kind,
        "slide_id": None,
        "source_job_ids": source_ids,
        "name": clustering["name"],
        "params": params.to_json(),
        "params_digest": params_digest(kind, [*source_ids, seq], params),
        "traceparent": traceparent,
    }
    return jobs.create_job(tx, values, COHORT_STAGES)


def _labelling_of(tx: Connection, clustering_id: str, labelling_id: str) -> Record:
    labelling = labels.get_labelling(tx, labelling_id)
    if labelling["clustering_id"] != clustering_id:
        raise InvalidArgument("The labelling is of another clustering.", labelling_id=labelling_id)
    return labelling


@router.post("/{clustering_id}/additions", status_code=202, response_model=Job, responses=created(202, Job))
async def add_slide(clustering_id: str, body: AdditionRequest, response: Response, here: Here) -> Job:
    """Have the cells of another slide's finished job added: each gets the cluster that it is nearest to, or none.

    The job makes a clustering of all of these cells; the one before stays as it is. Nothing that was clustered changes,
    and what was said goes on: names of clusters hold for the new cells, and a model learns from the same words.
    """
    traceparent = tracing.outgoing().get(tracing.HEADER)
    row, created = await here.ledger.write(_create_addition, clustering_id, body, traceparent, here.settings.profile)
    return await _asked_for(here, response, row, created)


def _create_addition(
    tx: Connection, clustering_id: str, body: AdditionRequest, traceparent: str | None, profile: Profile
) -> tuple[Record, bool]:
    clustering = clusterings.get_clustering(tx, clustering_id)
    source, added = jobs.hold_sources(tx, [clustering["job_id"], body.job_id])
    if added["kind"] != "slide" or added["verdict"] != "cells":
        raise FailedPrecondition("Only a job of a single slide that succeeded and found cells can be added.")
    if added["slide_id"] in {slide["slide_id"] for slide in clusterings.clustering_slides(tx, clustering_id)}:
        raise InvalidArgument("The slide is in the clustering already.", slide_id=added["slide_id"])
    for job in (source, added):
        check_job(tx, job, profile)
    known = cohort_params([stored_params(job["params"]) for job in (source, added)])
    params = replace(known, changes=None, change_of=None, labels_of=body.labelling_id)
    return _create_from(tx, clustering, "addition", [source["id"], added["id"]], params, traceparent)


async def _asked_for(here: Components, response: Response, row: Record, is_new: bool) -> Job:
    """The answer about a job that was asked for; of one that succeeded, what was lost is made again."""
    if row["state"] == "succeeded":
        is_new = await reopen(here.ledger, here.store, row["id"], thoroughly=False)
    response.status_code = 202 if is_new else 200
    response.headers["Location"] = f"/v1/jobs/{row['id']}"
    return await here.ledger.read(job_answer, row["id"])
