"""The guard is outermost: what nobody expected is logged there once and answered with its id."""

from __future__ import annotations

import json

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from morula.gateway.access import Access
from morula.gateway.guard import Guard


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("a secret")


async def test_a_failure_is_answered_and_logged_once(capsys: pytest.CaptureFixture[str]) -> None:
    guard = Access(Guard(broken, frozenset({"127.0.0.1"}), max_upload_bytes=1000))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url="http://127.0.0.1") as client:
        answer = await client.get("/v1/slides")
    problem = answer.json()
    assert (answer.status_code, problem["reason"]) == (500, "INTERNAL")
    assert "secret" not in json.dumps(problem)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    told = "".join(capsys.readouterr())
    assert told.count("request failed") == 1
    assert problem["trace_id"] in told


async def test_a_length_without_end_is_refused() -> None:
    guard = Access(Guard(broken, frozenset({"127.0.0.1"}), max_upload_bytes=1000))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url="http://127.0.0.1") as client:
        answer = await client.get("/v1/slides", headers={"content-length": "9" * 5000})
    assert (answer.status_code, answer.json()["reason"]) == (413, "TOO_LARGE")
    assert answer.json()["trace_id"]
