"""Server-sent events: what changed, as it is now, with ids to carry on from."""

import re
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from sqlalchemy import Connection

from morula.common.errors import NotFound
from morula.gateway.api.jobs import job_answer
from morula.gateway.api.slides import slide_answer
from morula.gateway.components import Components, Here
from morula.gateway.evaluation_schemas import Truth
from morula.gateway.ledger import events, jobs, labels, samples, truths
from morula.gateway.schemas import Job

router = APIRouter(prefix="/v1", tags=["events"])

_EVENT_ID = re.compile(r"[0-9]{1,15}")
NO_EVENT = 10**15
LastEventId = Annotated[str | None, Header()]


@router.get("/events", response_class=EventSourceResponse)
async def follow_all(request: Request, here: Here, last_event_id: LastEventId = None) -> AsyncIterator[ServerSentEvent]:
    """Every change from now on, or from the event named in Last-Event-ID on.

    `reset` says that changes after that event are kept no more: everything has to be read anew. `deleted` names what
    is gone by its kind and id.
    """
    seq, missed = await here.listeners.resume(_number(last_event_id))
    if missed:
        yield ServerSentEvent(event="reset", id=str(seq), data={})
    async for batch in here.listeners.follow(seq, may_hear=partial(here.door.still_lets_in, request)):
        for number, kind, subject_id in batch:
            yield await _change(here, number, kind, subject_id)


async def _first_look(job_id: str, here: Here) -> tuple[int, Job]:
    """The job as it is and the change it is at: read before the stream begins, so that no job is a plain 404."""
    return await here.ledger.read(_look, job_id)


@router.get("/jobs/{job_id}/events", response_class=EventSourceResponse)
async def follow_job(
    request: Request, job_id: str, here: Here, first: Annotated[tuple[int, Job], Depends(_first_look)]
) -> AsyncIterator[ServerSentEvent]:
    """The job as it is now, whatever was heard before, and again whenever it changes, until it ends."""
    seq, job = first
    yield _told(seq, job)
    if job.state not in jobs.UNFINISHED:
        return
    async for _ in here.listeners.follow(seq, "job", job_id, partial(here.door.still_lets_in, request)):
        try:
            seq, job = await here.ledger.read(_look, job_id)
        except NotFound:
            return  # It was deleted; a new request is answered by 404.
        yield _told(seq, job)
        if job.state not in jobs.UNFINISHED:
            return


def _look(tx: Connection, job_id: str) -> tuple[int, Job]:
    return events.last_change(tx, job_id), job_answer(tx, job_id)


def _told(seq: int, job: Job) -> ServerSentEvent:
    return ServerSentEvent(event="job", id=str(seq), data=job.model_dump(mode="json"))


async def _change(here: Components, number: int, kind: str, subject_id: str) -> ServerSentEvent:
    try:
        return ServerSentEvent(event=kind, id=str(number), data=await _subject(here, kind, subject_id))
    except NotFound:
        return ServerSentEvent(event="deleted", id=str(number), data={"kind": kind, "id": subject_id})


async def _subject(here: Components, kind: str, subject_id: str) -> object:
    if kind == "job":
        return (await here.ledger.read(job_answer, subject_id)).model_dump(mode="json")
    if kind == "slide":
        return (await here.ledger.read(slide_answer, subject_id)).model_dump(mode="json")
    if kind == "sample":
        return {"id": (await here.ledger.read(samples.get_sample, subject_id))["id"]}
    if kind == "truth":
        row = await here.ledger.read(truths.get_truth, subject_id)
        return Truth.model_validate(row).model_dump(mode="json")
    return {"id": (await here.ledger.read(labels.get_labelling, subject_id))["id"]}


def _number(last_event_id: str | None) -> int | None:
    if last_event_id is None:
        return None
    # An unknown id is treated like a pruned one: the client may have missed changes.
    return int(last_event_id) if _EVENT_ID.fullmatch(last_event_id) else NO_EVENT
