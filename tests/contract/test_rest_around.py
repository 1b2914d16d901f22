"""What every request passes: the guard, and how the gateway says how it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import event

from morula.gateway.api_keys import digest_of, new_key, prefix_of
from morula.gateway.ledger import api_keys
from tests.contract.rest_world import World, check_problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 403),
        ({"host": "evil.example:80"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"origin": "http://127.0.0.1:1"}, 403),
        ({"origin": "http://127.0.0.1"}, 200),
        ({"host": "localhost:8610"}, 200),
        ({"host": "[::1]:8610"}, 200),
    ],
)
async def test_only_pages_of_this_server_may_speak_to_it(world: World, headers: dict[str, str], status: int) -> None:
    answer = await world.http.get("/v1/slides", headers=headers)
    assert answer.status_code == status
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    if status != 200:
        assert check_problem(answer, 403, "PERMISSION_DENIED")["trace_id"]


async def test_it_says_how_it_is(world: World) -> None:
    ready = await world.http.get("/readyz")
    assert (ready.status_code, set(ready.json()["services"].values())) == (200, {True})
    assert ready.json()["writable"] == {"scratch": True, "store": True}
    assert {model["name"] for model in (await world.http.get("/version")).json()["models"]} == {
        "morula-nuclei",
        "watershed",
        "imported",
        "morphology",
        "morphology-ihc",
        "morphology-fluorescence",
        "morphology-plain",
        "morula-nuclei-features",
    }
    metrics = (await world.http.get("/metrics")).text
    assert 'morula_jobs{state="succeeded"}' in metrics
    assert "/v1/slides" in (await world.http.get("/openapi.json")).json()["paths"]


async def test_numbers_are_counted_once_for_all_who_ask_at_once(world: World) -> None:
    counted: list[str] = []

    def note(*seen: Any) -> None:
        counted.extend(str(part) for part in seen if "GROUP BY shard" in str(part))

    event.listen(world.client.ledger.engine, "before_cursor_execute", note)
    try:
        answers = await asyncio.gather(*(world.http.get("/metrics") for _ in range(40)))
    finally:
        event.remove(world.client.ledger.engine, "before_cursor_execute", note)
    assert all('morula_shards{stage="segment"' in answer.text for answer in answers)
    assert len(counted) <= 1


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/jobs", "GET, POST"),
        ("HEAD", "/v1/label-sets", "GET, POST"),
        ("GET", "/v1/jobs/x/cancel", "POST"),
        ("POST", "/healthz", "GET"),
    ],
)
async def test_a_method_that_a_path_has_not_is_refused_with_those_it_has(
    world: World, method: str, path: str, allowed: str
) -> None:
    answer = await world.http.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.headers["content-type"] == "application/problem+json"


HUGE = "9" * 40


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"CLUSTERING/blocks/{HUGE}", 422),
        (f"CLUSTERING/sheet.jpeg?rows={HUGE}", 400),
        (f"CLUSTERING/clusters?count={HUGE}", 422),
        (f"LABELLING/layers/{HUGE}/class", 422),
        (f"LABELLING/page?node_id={HUGE}", 422),
        (f"SLIDE/tiles/0/{HUGE}_0.jpeg", 404),
        (f"SLIDE/tiles/{HUGE}/0_0.jpeg", 404),
        (f"SLIDE/thumbnail.jpeg?max_px={HUGE}", 400),
    ],
)
async def test_numbers_that_no_column_holds_are_refused(world: World, path: str, status: int) -> None:
    places = {"CLUSTERING": world.clustering, "SLIDE": f"/v1/slides/{world.slide['id']}"}
    places["LABELLING"] = f"/v1/labellings/{world.job['labelling_id']}"
    for name, place in places.items():
        path = path.replace(name, place)
    answer = await world.http.get(path)
    assert answer.status_code == status, answer.text
    assert answer.json()["trace_id"]


@pytest.mark.parametrize(
    "change",
    [{"expected_seq": int(HUGE)}, {"body": {"row": int(HUGE), "class_number": 1}}, {"body": {"seq": int(HUGE)}}],
)
async def test_events_with_numbers_that_no_column_holds_are_refused(world: World, change: dict[str, Any]) -> None:
    kind = "undone" if "seq" in change.get("body", {}) else "cell_set"
    event = {"kind": kind, "body": {"row": 1, "class_number": 1}} | change
    answer = await world.http.post(f"/v1/labellings/{world.job['labelling_id']}/events", json=event)
    check_problem(answer, 422, "INVALID_ARGUMENT")


async def test_a_range_without_end_is_ignored(world: World) -> None:
    path = f"/v1/jobs/{world.job['id']}/files/manifest.json"
    assert (await world.http.get(path, headers={"range": f"bytes={'9' * 5000}-"})).status_code == 200


async def test_a_large_body_in_chunks_is_refused_too(world: World) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"[" * (1 << 20)

    headers = {"content-type": "application/json"}
    for path in ("/v1/jobs", "/v1/slides"):
        answer = await world.http.post(path, content=chunks(), headers=headers)
        assert check_problem(answer, 413, "TOO_LARGE")["trace_id"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v1/jobs/a%00b", None, 404),
        ("POST", "/v1/jobs/a%00b/cancel", None, 404),
        ("GET", "/v1/jobs?slide_id=a%00b", None, 400),
        ("POST", "/v1/jobs", {"slide_id": "a\0b"}, 422),
        ("POST", "/v1/clusterings", {"job_ids": ["a\0b", "c"]}, 422),
        ("POST", "/v1/labellings", {"clustering_id": "a\0b"}, 422),
    ],
)
async def test_a_nul_is_no_character_of_any_name(
    world: World, method: str, path: str, body: dict[str, Any] | None, status: int
) -> None:
    answer = await world.http.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    form = await world.http.post("/v1/slides", files={"file": ("a.tiff", b"II")}, data={"tissue": "a\0b"})
    assert form.status_code == 422, form.text


async def test_what_is_said_with_a_key_stands_under_its_name_whatever_the_body_says(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, made = new_key(), world.client.components
    args = (made.project, "Anna", digest_of(key), prefix_of(key), ["read", "label"])
    await world.client.ledger.write(api_keys.create_key, *args)
    labelling = await world.labelling()
    monkeypatch.setattr(made.door, "asks", True)
    monkeypatch.setitem(world.http.headers, "authorization", f"Bearer {key}")
    event = {"kind": "cell_set", "actor": "somebody", "body": {"row": 1, "class_number": 1}}
    world.client.ok(await world.http.post(f"{labelling}/events", json=event))
    (said,) = world.client.ok(await world.http.get(f"{labelling}/events"))["events"]
    assert said["actor"] == "Anna"

    sampled = {"job_ids": [world.job["id"]], "batch_count": 1, "cells_per_batch": 1}
    sample = world.client.ok(await world.http.post("/v1/samples", json=sampled))
    event = {"kind": "cells_labelled", "actor": "somebody", "body": {"tile": 1, "cells": [1], "class_number": 1}}
    told = world.client.ok(await world.http.post(f"/v1/samples/{sample['id']}/events", json=event))
    assert (told["annotator"], told["labelled_count"]) == ("Anna", 1)
    assert world.client.ok(await world.http.get(f"/v1/samples/{sample['id']}"))["annotator"] == "Anna"
