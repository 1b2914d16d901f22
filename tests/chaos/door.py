"""The gateways as a patient caller uses them: an answer that says "not now" is asked for again, nothing else is."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import httpx

from tests.servers.gateway import as_part
from tests.servers.jobs import classical

PATIENCE_S = 240.0
PAUSE_S = 0.25
POLL_S = 0.15
"""A gateway that is asked oftener has no time for the job."""
NOT_NOW = (503, 507)
ENDED = ("succeeded", "failed", "cancelled")
Json = dict[str, Any]


class Unanswered(RuntimeError):
    """Nobody answered in all that time."""


class Door:
    """Gateways over one database, asked in turn."""

    def __init__(self, urls: list[str], headers: dict[str, str] | None = None) -> None:
        self._http = httpx.Client(timeout=30.0, trust_env=False, headers=headers)
        self._urls = itertools.cycle(urls)
        self.wrong: list[str] = []
        """Answers that no fault excuses."""

    def __enter__(self) -> Door:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """The answer of a gateway that can give one."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            answer = self.ask_once(method, path, **more)
            if answer is not None:
                return answer
            time.sleep(PAUSE_S)
        raise Unanswered(f"{method} {path}")

    def ask_once(self, method: str, path: str, **more: Any) -> httpx.Response | None:
        """The answer, None where there is none now."""
        try:
            answer = self._http.request(method, f"{next(self._urls)}{path}", **more)
        except httpx.TransportError:
            return None
        if answer.status_code in NOT_NOW:
            return None
        if answer.is_server_error:
            self.wrong.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
            return None
        return answer

    def upload(self, path: Path) -> str:
        return str(self.ask("POST", "/v1/slides", files=as_part(path)).raise_for_status().json()["id"])

    def submit(self, slide_id: str) -> str:
        return str(self.ask("POST", "/v1/jobs", json=classical(slide_id)).raise_for_status().json()["id"])

    def job(self, job_id: str) -> Json:
        found: Json = self.ask("GET", f"/v1/jobs/{job_id}").raise_for_status().json()
        return found

    def wait_for(self, job_id: str, share: float) -> None:
        """Until that share of the job's units of work is done, or the job has ended."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            job = self.job(job_id)
            known = [stage for stage in job["stages"] if stage["total_count"]]
            shards = max((stage["total_count"] for stage in known), default=0)
            done = sum(stage["done_count"] for stage in known)
            # Three stages of a unit to each shard, four of one unit.
            if job["state"] in ENDED or (shards and done >= share * (3 * shards + 4)):
                return
            time.sleep(POLL_S)

    def ended(self, job_id: str) -> Json:
        """The job once it has ended; as it is where it does not end."""
        deadline = time.monotonic() + PATIENCE_S
        while (job := self.job(job_id))["state"] not in ENDED and time.monotonic() < deadline:
            time.sleep(PAUSE_S)
        return job
