"""The gateway as a program sees it: the same REST API that the page uses."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from morula.common.errors import Code, MorulaError, by_reason
from morula.onebox.failures import Failure, WrongUse

Json = dict[str, Any]
ENDED = frozenset({"succeeded", "failed", "cancelled"})
RECONNECT_S = 0.2


def id_of(text: str) -> str:
    """An id that a person typed, fit to be a part of an address; WrongUse where it is none."""
    try:
        return str(UUID(text))
    except ValueError as error:
        raise WrongUse(
            f"{text[:100]!r} is no id: copy it from the page, or from what was told when it was made"
        ) from error


class Client:
    """Calls of one gateway, with the key that MORULA_KEY holds; problems come back as the errors they were."""

    def __init__(self, url: str, *, away_s: float = 60.0) -> None:
        self.url = url
        self._away_s = away_s
        key = os.environ.get("MORULA_KEY")
        # Ignore the environment's proxy: the gateway is on this machine.
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(60.0, read=600.0),
            trust_env=False,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **params: str | int) -> Json:
        return self._json("GET", path, params=params)

    def post(self, path: str, body: Mapping[str, object] | None = None) -> Json:
        return self._json("POST", path, json=body)

    def put(self, path: str, body: Mapping[str, object]) -> Json:
        return self._json("PUT", path, json=body)

    def delete(self, path: str) -> None:
        _checked(self._http.delete(path))

    def bytes(self, path: str) -> bytes:
        """The body of an answer as it is."""
        return _checked(self._http.get(path)).content

    def page(self, labelling_id: str, cell_count: int = 12) -> Json | None:
        """The next page of cells, None once every cell was seen."""
        response = _checked(self._http.get(f"/v1/labellings/{labelling_id}/page", params={"cell_count": cell_count}))
        return None if response.status_code == httpx.codes.NO_CONTENT else dict(response.json())

    def upload(self, slide: Mapping[str, Path], fields: Mapping[str, str] | None = None) -> Json:
        """Uploads a slide, its files under the names it knows them by; a known one is found by its digest."""
        with ExitStack() as opened:
            files = [("file", (name, opened.enter_context(path.open("rb")))) for name, path in slide.items()]
            return self._json("POST", "/v1/slides", files=files, data=dict(fields or {}))

    def bring_truth(self, table: str, name: str) -> Json:
        """Brings a truth as CSV; the same bytes are the same truth."""
        return self._json("POST", "/v1/truths", files=[("file", ("truth.csv", table.encode()))], data={"name": name})

    def download(self, path: str, target: Path) -> None:
        """Streams an answer into a file."""
        with self._http.stream("GET", path) as response, target.open("wb") as out:
            if response.is_error:
                response.read()
            _checked(response)
            for piece in response.iter_bytes():
                out.write(piece)

    def watch(self, job_id: str) -> Iterator[Json]:
        """Every state of a job until it ends; a gateway that is restarted meanwhile is waited for."""
        last_seen = time.monotonic()
        while True:
            try:
                for job in self._events(job_id):
                    last_seen = time.monotonic()
                    yield job
                    if job["state"] in ENDED:
                        return
            except httpx.TransportError as error:
                if time.monotonic() - last_seen > self._away_s:
                    raise Failure(f"the gateway at {self.url} is gone; start morula again") from error
            time.sleep(RECONNECT_S)

    def _events(self, job_id: str) -> Iterator[Json]:
        yield self.get(f"/v1/jobs/{job_id}")
        with self._http.stream("GET", f"/v1/jobs/{job_id}/events") as response:
            _checked(response)
            for line in response.iter_lines():
                if line.startswith("data:"):
                    yield json.loads(line.removeprefix("data:"))

    def _json(self, method: str, path: str, **kwargs: Any) -> Json:
        return dict(_checked(self._http.request(method, path, **kwargs)).json())


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    raise problem_error(
        response.json() if "json" in response.headers.get("content-type", "") else {}, response.status_code
    )


def problem_error(problem: Json, status: int = 500) -> MorulaError:
    """A problem+json as the error that it was at its origin."""
    code = next((code for code in Code if code.http == status), Code.INTERNAL)
    detail = problem.get("detail") or problem.get("title") or f"the gateway answered {status}"
    return by_reason(str(problem.get("reason", "")), code)(str(detail))
