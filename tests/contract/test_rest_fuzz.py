"""The API does what its own description says: every operation is asked with what fits and with what does not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Set
from typing import Any

import httpx
import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, from_schema
from schemathesis.engine.events import EngineFinished, FatalError, NonFatalError, ScenarioFinished

from tests.contract.rest_world import World
from tests.servers.gateway import Job

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
)
EXAMPLES = 3
METHODS = {"get", "put", "post", "patch", "delete"}


async def described(app: Any, world: World) -> dict[str, Any]:
    """The description, with ids that are there beside any others."""
    document: dict[str, Any] = httpx.Response(200, json=app.openapi()).json()
    # Of its own, because what is deleted would leave nothing else to ask about.
    doomed = await world.client.upload(world.client.components.settings.folders["scans"] / "other.tiff")
    gone = await world.client.run(doomed["id"])
    add_ids(operations(document, {"delete"}), gone, await evaluated(world, gone, "gone"))
    add_ids(operations(document, METHODS - {"delete"}), world.job, await evaluated(world, world.job, "kept"))
    return document


async def evaluated(world: World, job: Job, name: str) -> dict[str, str]:
    """Ids of a truth of a job's cells, of an evaluation against it, and of a sample."""
    content = f"row,class,batch\n0,one,{name}\n1,other,{name}\n2,one,{name}\n3,other,{name}\n".encode()
    truth = world.client.ok(await world.http.post("/v1/truths", files={"file": ("truth.csv", content)}))
    body = {"truth_id": truth["id"], "clustering_id": job["clustering_id"], "draw_count": 100}
    evaluation = world.client.ok(await world.http.post("/v1/evaluations", json=body))
    assert (await world.client.ended(evaluation["id"]))["state"] == "succeeded"
    # Of the job that stays: one whose cells are labelled cannot be deleted.
    sampled = {"job_ids": [world.job["id"]], "batch_count": 1, "cells_per_batch": 1}
    sample = world.client.ok(await world.http.post("/v1/samples", json=sampled))
    return {"truth_id": truth["id"], "evaluation_id": evaluation["id"], "sample_id": sample["id"]}


def add_ids(asked: Iterator[dict[str, Any]], job: Job, others: dict[str, str]) -> None:
    known = others | {name: job[name] for name in ("slide_id", "clustering_id", "labelling_id")}
    known |= {"job_id": job["id"], "name": "manifest.json"}
    for operation in asked:
        for parameter in operation.get("parameters", []):
            if parameter["name"] in known and parameter["in"] != "header":
                parameter["schema"] = {"anyOf": [{"enum": [known[parameter["name"]]]}, parameter["schema"]]}


def operations(document: dict[str, Any], wanted: Set[str] = METHODS) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from (operation for method, operation in methods.items() if method in wanted)


def fuzz(document: dict[str, Any], url: str) -> tuple[set[str], list[str]]:
    """Which operations were asked, and what was wrong."""
    config = SchemathesisConfig.from_dict(
        {
            "base-url": url,
            "continue-on-failure": True,
            "request-timeout": 60,
            "generation": {"max-examples": EXAMPLES, "deterministic": True, "database": "none", "no-shrink": True},
            "phases": {"stateful": {"enabled": False}},
            "checks": {"enabled": False} | {name: {"enabled": True} for name in CHECKS},
        }
    )
    asked: set[str] = set()
    wrong: list[str] = []
    for event in from_schema(schemathesis.openapi.from_dict(document, config=config)).execute():
        if isinstance(event, FatalError | NonFatalError):
            wrong.append(f"{getattr(event, 'label', '')}: {getattr(event, 'value', event)!r}")
        elif isinstance(event, ScenarioFinished):
            if event.recorder.interactions:
                asked.add(event.recorder.label)
            wrong += failures(event)
        elif isinstance(event, EngineFinished):
            assert event.stop_reason == "completed"
    return asked, wrong


def failures(event: ScenarioFinished) -> Iterator[str]:
    for checks in event.recorder.checks.values():
        for check in checks:
            if check.status is Status.FAILURE and check.failure_info is not None:
                info = check.failure_info
                yield f"{event.recorder.label}: {info.failure.title}: {info.failure.message}\n  {info.code_sample}"


def asked_of(document: dict[str, Any]) -> set[str]:
    paths = document["paths"].items()
    return {f"{method.upper()} {path}" for path, methods in paths for method in methods if method in METHODS}


# The application draws in the same process, on another thread: hypothesis takes that for its strategies'.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
async def test_every_operation_does_what_it_says(world: World, url: str) -> None:
    transport: Any = world.http._transport
    document = await described(transport.app, world)
    endless = document["paths"].pop("/v1/events")
    asked, wrong = await asyncio.to_thread(fuzz, document, url)
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(sorted(set(wrong)))[:20000]
    assert asked == asked_of(document)
    async with httpx.AsyncClient(base_url=url) as http, http.stream("GET", "/v1/events") as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].partition(";")[0] in endless["get"]["responses"]["200"]["content"]


async def test_every_failure_is_declared_as_a_problem(world: World) -> None:
    transport: Any = world.http._transport
    for operation in operations(transport.app.openapi()):
        failures = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert {"400", "403", "408", "413", "500", "503"} <= set(failures), operation["operationId"]
        forms = {
            tuple(answer.get("content", {})) for status, answer in failures.items() if status not in ("416", "503")
        }
        assert forms == {("application/problem+json",)}, operation["operationId"]
