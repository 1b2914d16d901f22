"""The guard is outermost: what nobody expected is logged there once and answered with its id."""

from __future__ import annotations

import json

import httpx
import pytest
from starlette.responses import PlainTextResponse
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


@pytest.mark.parametrize(
    ("base", "origin", "status"),
    [
        ("https", "https", 200),
        ("https", "http", 403),
        ("http", "http", 200),
        ("http", "https", 200),  # Behind a proxy that ends TLS and does not say so.
    ],
)
async def test_over_https_no_page_that_came_unencrypted_acts(base: str, origin: str, status: int) -> None:
    guard = Guard(PlainTextResponse("ok"), frozenset({"127.0.0.1"}), max_upload_bytes=1000)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url=f"{base}://127.0.0.1:8610") as client:
        answer = await client.post("/v1/slides", headers={"origin": f"{origin}://127.0.0.1:8610"})
    assert answer.status_code == status
