"""One round: a job of many shards, a fault at a random moment, and a look at what came out."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from morula.common.errors import MorulaError
from tests.chaos.door import Door, Json
from tests.chaos.faults import FAULTS
from tests.chaos.person import Person
from tests.chaos.worlds import Round, World

LAYERS = ("leaf", "layout", "confidence")
GONE = 410
AFTER_THE_END = 0.15
"""Share of rounds whose fault strikes once the job has ended."""
EXCUSED = {"disk full": "STORAGE_FULL"}
"""Faults that may fail a job, in these words; it is tried again then."""
Digests = dict[str, str]


@dataclass
class Outcome:
    """What came of a round."""

    fault: str
    told: str = ""
    seconds: float = 0.0
    retry_count: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Undisturbed:
    """What a job comes to when nothing happens."""

    result_digest: str
    served: Digests


def play_undisturbed(world: World, slide: Path) -> Undisturbed:
    with world.round() as now:
        job = now.door.ended(now.door.submit(now.door.upload(slide)))
        if job["state"] != "succeeded":
            raise RuntimeError(f"the job fails by itself: {job['error']}")
        return Undisturbed(job["result_digest"], {path: _digest(answer) for path, answer in _read(now.door, job)})


def play(world: World, slide: Path, fault: str, undisturbed: Undisturbed, rng: random.Random) -> Outcome:
    outcome = Outcome(fault)
    started = time.monotonic()
    with world.round() as now, Person(now.door) as person:
        try:
            _play(now, slide, outcome, undisturbed, rng)
            person.stop()
            outcome.problems += [f"lost: label set {lost}" for lost in person.lost()]
        except (httpx.HTTPError, RuntimeError) as error:
            outcome.problems.append(f"{type(error).__name__}: {error}")
        outcome.problems += [f"wrong answer: {wrong}" for wrong in now.door.wrong]
    outcome.seconds = time.monotonic() - started
    return outcome


def _play(now: Round, slide: Path, outcome: Outcome, undisturbed: Undisturbed, rng: random.Random) -> None:
    door = now.door
    job_id = door.submit(door.upload(slide))
    strikes_late = rng.random() < AFTER_THE_END
    if strikes_late:
        door.ended(job_id)
    else:
        door.wait_for(job_id, rng.random())
    outcome.told = FAULTS[outcome.fault](now, rng)
    job = door.ended(job_id)
    if job["state"] == "failed" and (job["error"] or {}).get("reason") == EXCUSED.get(outcome.fault):
        job = _retry(door, job_id, outcome)
    outcome.problems += _judge_end(job, undisturbed)
    if outcome.problems:
        return
    gone = _judge_served(door, job, undisturbed, outcome)
    if gone:
        job = _retry(door, job_id, outcome)
        outcome.problems += _judge_end(job, undisturbed)
        outcome.problems += [f"still gone: {path}" for path in _judge_served(door, job, undisturbed, outcome)]
    outcome.problems += _left_over(now)


def _retry(door: Door, job_id: str, outcome: Outcome) -> Json:
    outcome.retry_count += 1
    door.ask("POST", f"/v1/jobs/{job_id}/retry").raise_for_status()
    return door.ended(job_id)


def _judge_end(job: Json, undisturbed: Undisturbed) -> list[str]:
    if job["state"] != "succeeded":
        return [f"the job is {job['state']}: {job['error']}, {job['stages']}"]
    if job["result_digest"] != undisturbed.result_digest:
        return ["another result"]
    return []


def _judge_served(door: Door, job: Json, undisturbed: Undisturbed, outcome: Outcome) -> list[str]:
    """Paths whose bytes are gone, and told so; bytes that are not what they were are a problem."""
    gone = []
    for path, answer in _read(door, job):
        if answer.status_code == GONE:
            gone.append(path)
        elif answer.status_code != 200:
            outcome.problems.append(f"{path}: {answer.status_code} {answer.text[:200]}")
        elif _digest(answer) != undisturbed.served[path]:
            outcome.problems.append(f"believed: {path}")
    return gone


def _read(door: Door, job: Json) -> Iterator[tuple[str, httpx.Response]]:
    """Everything that the job left, by a name that does not hold its ids."""
    for file in door.ask("GET", f"/v1/jobs/{job['id']}/files").raise_for_status().json()["files"]:
        yield f"files/{file['name']}", door.ask("GET", f"/v1/jobs/{job['id']}/files/{file['name']}")
    for layer in LAYERS:
        yield f"layers/{layer}", door.ask("GET", f"/v1/clusterings/{job['clustering_id']}/layers/{layer}")
    yield "blocks/0", door.ask("GET", f"/v1/clusterings/{job['clustering_id']}/blocks/0")


def _digest(answer: httpx.Response) -> str:
    return hashlib.sha256(answer.content).hexdigest()


def _left_over(now: Round) -> list[str]:
    """Pixels that nobody needs any more."""
    with suppress(MorulaError):
        return [f"left: {one.key}" for one in now.ground.store.list("") if one.key.split("/")[2] == "pixels"]
    return ["the store does not answer"]
