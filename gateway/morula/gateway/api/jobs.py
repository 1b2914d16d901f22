"""Jobs: asked for, followed, stopped, tried again, and the files that they leave."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy import Connection

from morula.common import tracing
from morula.common.errors import Conflict
from morula.gateway.components import Here
from morula.gateway.contract import created, served
from morula.gateway.exports.formats import MEDIA_TYPES, media_type_of
from morula.gateway.ledger import deletion, evaluations, jobs, shards, slides
from morula.gateway.ledger.records import Record, Slice
from morula.gateway.licences import check_job, check_params
from morula.gateway.lists import Wanted, cursor_after
from morula.gateway.pipeline.params import SLIDE_STAGES, make_params, params_digest
from morula.gateway.pipeline.results import reopen
from morula.gateway.pipeline.slide_job import imported_cells
from morula.gateway.ranges import send_object
from morula.gateway.refs import row_ref, slide_ref
from morula.gateway.schemas import Job, JobFile, JobFiles, JobRequest, Jobs, StageProgress

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.post("", status_code=202, response_model=Job, responses=created(202, Job))
async def create_job(body: JobRequest, response: Response, here: Here) -> Job:
    """Have a slide worked on. The same again is the same job, unless that one failed; what it lost is made again."""
    slide = await here.ledger.read(slides.get_slide, body.slide_id)
    settings = here.settings
    params = make_params(
        body,
        slide["mpp"],
        numerics=settings.numerics,
        algorithms=settings.clusterer_algorithms,
        known_stain=slide["stain"],
    )
    check_params(params, here.settings.profile)
    files = await here.ledger.read(slides.slide_files, slide["id"])
    imported_cells(slide_ref(slide, files), params.segmenter)
    values = {
        "project_id": here.project,
        "kind": "slide",
        "slide_id": slide["id"],
        "source_job_ids": [],
        "name": slide["name"],
        "params": params.to_json(),
        "params_digest": params_digest("slide", slide["id"], params),
        "traceparent": tracing.outgoing().get(tracing.HEADER),
    }
    row, created = await here.ledger.write(_create, values)
    if row["state"] == "succeeded":
        created = await reopen(here.ledger, here.store, row["id"], thoroughly=False)
    response.status_code = 202 if created else 200
    response.headers["Location"] = f"/v1/jobs/{row['id']}"
    return await here.ledger.read(job_answer, row["id"])


def _create(tx: Connection, values: dict[str, Any]) -> tuple[Record, bool]:
    slides.hold_slide(tx, values["slide_id"])
    return jobs.create_job(tx, values, SLIDE_STAGES)


@router.get("", response_model=Jobs)
async def list_jobs(here: Here, wanted: Wanted, slide_id: str | None = None) -> Jobs:
    """Jobs, newest first."""
    return await here.ledger.read(_jobs_answer, here.project, wanted, slide_id)


@router.get("/{job_id}", response_model=Job)
async def get_job(job_id: str, here: Here) -> Job:
    """One job."""
    return await here.ledger.read(job_answer, job_id)


@router.post("/{job_id}/cancel", status_code=202, response_model=Job)
async def cancel_job(job_id: str, here: Here) -> Job:
    """Have a job stopped."""
    await here.ledger.write(jobs.ask_to_cancel, job_id)
    return await here.ledger.read(job_answer, job_id)


@router.post("/{job_id}/retry", status_code=202, response_model=Job)
async def retry_job(job_id: str, here: Here) -> Job:
    """Have a job that failed or was cancelled carried on with; or one of whose results some are gone or damaged."""
    row = await here.ledger.read(jobs.get_job, job_id)
    await here.ledger.read(check_job, row, here.settings.profile)
    if row["state"] != "succeeded":
        await here.ledger.write(jobs.retry_job, job_id)
    elif not await reopen(here.ledger, here.store, job_id, thoroughly=True):
        raise Conflict(
            "There is nothing to retry: the job succeeded, and its results are there, undamaged.", job_id=job_id
        )
    return await here.ledger.read(job_answer, job_id)


@router.delete("/{job_id}", status_code=204, response_class=Response, responses={202: {"model": Job}})
async def delete_job(job_id: str, here: Here) -> Response:
    """Delete a job with its clustering, labellings and files. One that is under way is stopped first (202)."""
    stopping = await here.ledger.write(_delete, job_id)
    return Response(status_code=204) if stopping is None else JSONResponse(stopping.model_dump(mode="json"), 202)


def _delete(tx: Connection, job_id: str) -> Job | None:
    return None if deletion.delete_job(tx, job_id) else job_answer(tx, job_id)


@router.get("/{job_id}/files", response_model=JobFiles)
async def list_files(job_id: str, here: Here) -> JobFiles:
    """Files that the job left."""
    rows = await here.ledger.read(jobs.job_files, job_id)
    return JobFiles(files=[JobFile.model_validate(dict(row)) for row in rows])


@router.get("/{job_id}/files/{name}", response_class=Response, responses=served(*MEDIA_TYPES.values()))
async def get_file(job_id: str, name: str, request: Request, here: Here) -> Response:
    """One file that the job left."""
    row = await here.ledger.read(jobs.get_file, job_id, name)
    return await send_object(request, here.store, row_ref(row), media_type_of(row["name"]), filename=row["name"])


def job_answer(tx: Connection, job_id: str) -> Job:
    """The job with its stages."""
    return _answers(tx, [jobs.get_job(tx, job_id)])[0]


def _jobs_answer(tx: Connection, project: str, wanted: Slice, slide_id: str | None) -> Jobs:
    part = jobs.list_jobs(tx, project, wanted, slide_id)
    return Jobs(jobs=_answers(tx, part.rows), next_cursor=cursor_after(part))


def _answers(tx: Connection, rows: list[Record]) -> list[Job]:
    stages: dict[str, list[StageProgress]] = {row["id"]: [] for row in rows}
    for stage in shards.list_stages(tx, list(stages)):
        stages[stage["job_id"]].append(
            StageProgress(
                stage=stage["stage"],
                done_count=stage["done_count"],
                total_count=stage["total_count"] or 0,
                seconds=round(stage["busy_s"], 3),
            )
        )
    measured = evaluations.measured_by(tx, [row["id"] for row in rows if row["kind"] == "evaluation"])
    names = slides.slide_names(tx, {row["slide_id"] for row in rows if row["slide_id"]})
    return [
        Job.model_validate(
            {
                **row,
                **measured.get(row["id"], {}),
                "slide_name": names.get(row["slide_id"]),
                "stages": stages[row["id"]],
            }
        )
        for row in rows
    ]
