"""Server-sent events: what changed, as it is now, with ids to carry on from."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent

from morula.gateway.api.jobs import job_answer
from morula.gateway.house import Here, House
from morula.gateway.ledger import jobs, slides
from morula.gateway.schemas import Slide

router = APIRouter(prefix="/v1", tags=["events"])

LastEventId = Annotated[str | None, Header()]


@router.get("/events", response_class=EventSourceResponse)
async def follow_all(here: Here, last_event_id: LastEventId = None) -> AsyncIterator[ServerSentEvent]:
    """Every change from now on, or from the event named in Last-Event-ID on."""
    seq = _number(last_event_id)
    seq = await here.listeners.newest() if seq is None else seq
    async for batch in here.listeners.follow(seq):
        for number, kind, subject_id in batch:
            yield ServerSentEvent(event=kind, id=str(number), data=await _subject(here, kind, subject_id))


@router.get("/jobs/{job_id}/events", response_class=EventSourceResponse)
async def follow_job(job_id: str, here: Here, last_event_id: LastEventId = None) -> AsyncIterator[ServerSentEvent]:
    """The job as it is now, and again whenever it changes, until it ends."""
    seq = _number(last_event_id) or 0
    async for batch in here.listeners.follow(seq, "job", job_id):
        for number, _kind, _subject in batch:
            job = await here.ledger.read(job_answer, job_id)
            yield ServerSentEvent(event="job", id=str(number), data=job.model_dump(mode="json"))
            if job.state not in jobs.UNFINISHED:
                return


async def _subject(here: House, kind: str, subject_id: str) -> object:
    if kind == "job":
        return (await here.ledger.read(job_answer, subject_id)).model_dump(mode="json")
    if kind == "slide":
        row = await here.ledger.read(slides.get_slide, subject_id)
        return Slide.model_validate(dict(row)).model_dump(mode="json")
    return {"id": subject_id}


def _number(last_event_id: str | None) -> int | None:
    return int(last_event_id) if last_event_id is not None and last_event_id.isdecimal() else None
