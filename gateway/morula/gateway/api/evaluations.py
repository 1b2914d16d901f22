"""Evaluations: asked for, followed, read. They are jobs, and stopped, tried again and deleted as such."""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response
from sqlalchemy import Connection

from morula.common import tracing
from morula.common.arrays import read_json, write_array
from morula.common.errors import FailedPrecondition, NotFound, of_artifact
from morula.common.keys import artifact_key
from morula.common.models import Profile
from morula.gateway.api.jobs import job_answer
from morula.gateway.api.waiting import while_waited
from morula.gateway.components import Components, Here
from morula.gateway.contract import created, served
from morula.gateway.evaluation_schemas import (
    Evaluation,
    EvaluationChoices,
    EvaluationDifferences,
    EvaluationNumbers,
    EvaluationRequest,
    Evaluations,
)
from morula.gateway.fields import Identifier
from morula.gateway.labels.effective import NOT_SURE
from morula.gateway.ledger import evaluations, jobs, labels, objects, truths
from morula.gateway.ledger.ids import new_id
from morula.gateway.ledger.records import Record, Slice
from morula.gateway.licences import check_job
from morula.gateway.lists import Wanted, cursor_after
from morula.gateway.pipeline.evaluating import NUMBERS, REPORT, request_of
from morula.gateway.pipeline.params import EVALUATION_STAGES, params_digest, stored_params
from morula.gateway.pipeline.results import reopen
from morula.gateway.ranges import send_object
from morula.gateway.refs import row_ref
from morula.gateway.schemas import Job
from morula.gateway.workers import once_it_is_free
from morula.v1.evaluator_pb2 import CompareEvaluationsRequest

router = APIRouter(prefix="/v1/evaluations", tags=["evaluations"])

SHOWN = ("of", "match_rate", "match", "remarks", "paper", "honest", "named", "agreement")
HARMLESS = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'none'"
"""A report is a page of others' words: nothing in it runs, and it is no part of this site."""


@router.post("", status_code=202, response_model=Job, responses=created(202, Job))
async def create_evaluation(body: EvaluationRequest, response: Response, here: Here) -> Job:
    """Have clusters, or labels as they are now, measured against a truth. The same again is the same evaluation."""
    measured = await _measured(here, body)
    choices = body.model_dump(include=set(EvaluationChoices.model_fields), exclude_none=True)
    values = {
        "clustering_id": measured["clustering_id"],
        "truth_id": body.truth_id,
        "cluster_count": measured["cluster_count"],
        "labelling_id": body.labelling_id,
        "labelling_seq": measured.get("labelling_seq"),
        "labels": measured.get("labels"),
        "choices": choices,
    }
    traceparent = tracing.outgoing().get(tracing.HEADER)
    upload_id = measured.get("upload_id")
    job_id, is_new = await here.ledger.write(_create, values, upload_id, traceparent, here.settings.profile)
    if not is_new and (await here.ledger.read(jobs.get_job, job_id))["state"] == "succeeded":
        is_new = await reopen(here.ledger, here.store, job_id, thoroughly=False)
    response.status_code = 202 if is_new else 200
    response.headers["Location"] = f"/v1/evaluations/{job_id}"
    return await here.ledger.read(job_answer, job_id)


async def _measured(here: Components, body: EvaluationRequest) -> Mapping[str, Any]:
    if body.labelling_id is not None:
        return await here.labelling.learning.reading(body.labelling_id, lambda: _labels(here, str(body.labelling_id)))
    view = await here.views.get(str(body.clustering_id))
    if body.cluster_count > view.leaf_count:
        raise FailedPrecondition(f"cluster_count is at most {view.leaf_count} for this clustering.")
    return {"clustering_id": view.id, "cluster_count": body.cluster_count or view.cluster_count}


async def _labels(here: Components, labelling_id: str) -> Mapping[str, Any]:
    """The labels as they are now, in the store: what is said later does not change what is measured."""
    snapshot, view, effective = await here.labelling.effective(labelling_id)
    classes = np.where(effective.classes == NOT_SURE, 0, effective.classes).astype(np.uint8)
    if not classes.any():
        raise FailedPrecondition("No cell has a label in this labelling yet.", labelling_id=labelling_id)
    content = write_array(classes)
    key = artifact_key(
        view.project,
        view.scope,
        "effective",
        "npy",
        inputs=[view.artifacts.leaf.key],
        params={"sha256": hashlib.sha256(content).hexdigest()},
    )
    upload_id = new_id()
    await here.ledger.write(objects.claim, objects.UPLOAD, upload_id, [key])
    stored = await asyncio.to_thread(here.store.put, key, content)
    label_set = await here.labelling.label_set(snapshot.row["label_set_id"])
    names = {str(one.number): one.name for one in label_set.classes}
    return {
        "clustering_id": view.id,
        "cluster_count": snapshot.row["cluster_count"],
        "labelling_seq": snapshot.labels.seq,
        "labels": {"key": key, "sha256": stored.sha256, "size_bytes": stored.size_bytes, "names": names},
        "upload_id": upload_id,
    }


def _create(
    tx: Connection, values: Mapping[str, Any], upload_id: str | None, traceparent: str | None, profile: Profile
) -> tuple[str, bool]:
    source = evaluations.source_job(tx, values["clustering_id"])
    check_job(tx, source, profile)
    if values["labelling_id"] is not None:
        labels.get_labelling(tx, values["labelling_id"])
    truth = truths.get_truth(tx, values["truth_id"], lock=True)
    params = stored_params(source["params"])
    job_values = {
        "project_id": source["project_id"],
        "kind": "evaluation",
        "slide_id": None,
        "source_job_ids": [source["id"]],
        "name": f"{source['name']}: {truth['name']}",
        "params": params.to_json(),
        "params_digest": params_digest("evaluation", dict(values), params),
        "traceparent": traceparent,
    }
    row, is_new = jobs.create_job(tx, job_values, EVALUATION_STAGES)
    if is_new:
        evaluations.keep_evaluation(tx, row["id"], values, upload_id)
    elif upload_id is not None:
        objects.release(tx, upload_id)
    return row["id"], is_new


@router.get("", response_model=Evaluations)
async def list_evaluations(
    here: Here, wanted: Wanted, clustering_id: str | None = None, truth_id: str | None = None
) -> Evaluations:
    """Evaluations, newest first: all, or of one clustering or truth."""
    return await here.ledger.read(_part, here.project, wanted, clustering_id, truth_id)


def _part(tx: Connection, project: str, wanted: Slice, clustering_id: str | None, truth_id: str | None) -> Evaluations:
    part = evaluations.list_evaluations(tx, project, wanted, clustering_id, truth_id)
    found = [Evaluation.model_validate(row) for row in part.rows]
    return Evaluations(evaluations=found, next_cursor=cursor_after(part))


@router.get("/{evaluation_id}", response_model=EvaluationNumbers)
async def get_evaluation(evaluation_id: str, here: Here) -> EvaluationNumbers:
    """An evaluation: how far it is, and once it has succeeded its numbers."""
    row = await here.ledger.read(evaluations.get_evaluation, evaluation_id)
    numbers: Mapping[str, Any] = {}
    if row["state"] == "succeeded":
        numbers = await asyncio.to_thread(_read, here, await here.ledger.read(jobs.get_file, evaluation_id, NUMBERS))
    return EvaluationNumbers.model_validate({**row, **{name: numbers[name] for name in SHOWN if name in numbers}})


def _read(here: Components, file: Mapping[str, Any]) -> Mapping[str, Any]:
    with of_artifact(file["key"]):
        found: dict[str, Any] = read_json(here.store.get(file["key"], file["sha256"]))
        # Which cells a tile has is for who looks at it: evaluation.json has them.
        tiles = [{name: of for name, of in tile.items() if name != "cells"} for tile in found["paper"]["tiles"]]
        return {**found, "paper": {**found["paper"], "tiles": tiles}}


@router.get("/{evaluation_id}/differences", response_model=EvaluationDifferences)
async def get_evaluation_differences(
    evaluation_id: str, against: Identifier, request: Request, here: Here
) -> EvaluationDifferences:
    """How much better an evaluation is than another, number by number, with intervals: the same slides are drawn for
    both. 400 where they are against different truths or measured in different ways: no number tells these apart."""
    return await while_waited(request, _differences(here, evaluation_id, against))


async def _differences(here: Components, evaluation_id: str, against_id: str) -> EvaluationDifferences:
    rows = [await here.ledger.read(evaluations.get_evaluation, one) for one in (evaluation_id, against_id)]
    _check_alike(*rows)
    learning = here.labelling.learning
    one, two = [await request_of(here.ledger, here.views, learning, here.project, row) for row in rows]
    asked = CompareEvaluationsRequest(evaluation=one, against=two)
    found = await once_it_is_free(lambda: here.workers.compare_evaluations(asked))
    ids = {"evaluation_id": evaluation_id, "against_id": against_id, "truth_id": rows[0]["truth_id"]}
    return EvaluationDifferences.model_validate({**ids, **json.loads(found.comparison)})


def _check_alike(one: Record, two: Record) -> None:
    """Refuses evaluations of which no difference can be told."""
    for row in (one, two):
        if row["state"] != "succeeded":
            raise FailedPrecondition(
                f"An evaluation has no numbers to compare: it is {row['state']}.", job_id=row["id"]
            )
    if one["truth_id"] != two["truth_id"]:
        raise FailedPrecondition(
            "These evaluations are against different truths, and what is hard in one may be easy in the other: "
            "evaluate both against one truth, and compare these."
        )
    if one["choices"] != two["choices"]:
        raise FailedPrecondition(
            "These evaluations were measured in different ways (draws, folds, clicks, seed or reach): they cannot be "
            "compared."
        )


@router.get("/{evaluation_id}/evaluation.json", response_class=Response, responses=served("application/json"))
async def get_evaluation_numbers(evaluation_id: str, request: Request, here: Here) -> Response:
    """All numbers, as `morula evaluate` writes them."""
    return await _send(request, here, evaluation_id, NUMBERS, "application/json")


@router.get("/{evaluation_id}/report.html", response_class=Response, responses=served("text/html"))
async def get_evaluation_report(evaluation_id: str, request: Request, here: Here) -> Response:
    """The report: one page with figures that needs nothing else."""
    return await _send(request, here, evaluation_id, REPORT, "text/html")


async def _send(request: Request, here: Components, evaluation_id: str, name: str, media_type: str) -> Response:
    row = await here.ledger.read(evaluations.get_evaluation, evaluation_id)
    if row["state"] != "succeeded":
        raise NotFound(f"There is no {name} yet: the evaluation is {row['state']}.", evaluation_id=evaluation_id)
    file = await here.ledger.read(jobs.get_file, evaluation_id, name)
    answer = await send_object(request, here.store, row_ref(file), media_type)
    answer.headers["Content-Security-Policy"] = HARMLESS
    return answer
