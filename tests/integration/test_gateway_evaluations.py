"""Evaluations are jobs like others: they wait for what is away, stop when told, and go on from what is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from morula.common.testing import write_slide
from tests.contract.rest_world import check_problem, until
from tests.servers.gateway import Client, Job, Services, gateway, services
from tests.servers.waiting_evaluator import start_waiting_evaluator

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Ground:
    client: Client
    running: Services
    job: Job

    async def bring(self, width: int) -> dict[str, Any]:
        """A truth of its own: columns of this width in turn."""
        cells = await self.client.http.get(f"/v1/clusterings/{self.job['clustering_id']}/cells?bbox=0,0,600,600")
        rows = [f"{cell['row']},{int(cell['x_px'] // width) % 2}" for cell in cells.json()["cells"]]
        content = "\n".join(["row,class", *rows]).encode()
        return self.client.ok(await self.client.http.post("/v1/truths", files={"file": ("truth.csv", content)}))

    async def ask(self, truth: dict[str, Any]) -> str:
        body = {"truth_id": truth["id"], "clustering_id": self.job["clustering_id"], "draw_count": 100}
        return str(self.client.ok(await self.client.http.post("/v1/evaluations", json=body))["id"])

    def left(self) -> list[str]:
        """Objects of truths and evaluations."""
        stages = ("truth", "evaluation", "report")
        return [one.key for one in self.running.store.list("") if one.key.split("/")[2] in stages]

    def lose(self, *stages: str) -> None:
        """All objects of these stages are gone."""
        lost = [one.key for one in self.running.store.list("") if one.key.split("/")[2] in stages]
        assert {key.split("/")[2] for key in lost} == set(stages)
        for key in lost:
            self.running.store.delete(key)

    async def again(self) -> None:
        await self.running.stop("evaluator")
        await self.running.start("evaluator")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ground(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    root: Path = tmp_path_factory.mktemp("evaluations")
    write_slide(root / "tiny.tiff", 600, 600)
    async with services(root) as running, gateway(running, root) as client:
        slide = await client.upload(root / "tiny.tiff", stain="H&E")
        yield Ground(client, running, await client.run(slide["id"]))


async def test_an_evaluation_waits_for_the_evaluator_and_says_so(ground: Ground) -> None:
    truth = await ground.bring(40)
    await ground.running.stop("evaluator")
    asked = await ground.ask(truth)
    async for _ in ground.client.changes(asked):
        if (await ground.client.job(asked))["waiting_for"]:
            break
    await ground.running.start("evaluator")
    ended = await ground.client.ended(asked)
    assert (ended["state"], ended["attempt"], ended["waiting_for"]) == ("succeeded", 1, None)
    assert [(one["stage"], one["done_count"]) for one in ended["stages"]] == [("evaluate", 1)]


async def test_one_that_is_under_way_keeps_what_it_measures_stops_when_told_and_is_tried_again(ground: Ground) -> None:
    evaluator = await start_waiting_evaluator(ground.running)
    truth = await ground.bring(50)
    asked = await ground.ask(truth)
    assert await asyncio.to_thread(evaluator.entered.wait, 30)
    assert await ground.ask(truth) == asked
    check_problem(await ground.client.http.delete(f"/v1/jobs/{ground.job['id']}"), 409, "IN_USE")
    check_problem(await ground.client.http.delete(f"/v1/truths/{truth['id']}"), 409, "IN_USE")
    assert (await ground.client.http.post(f"/v1/jobs/{asked}/cancel")).status_code == 202
    assert (await ground.client.ended(asked))["state"] == "cancelled"
    evaluator.go.set()
    assert (await ground.client.http.post(f"/v1/jobs/{asked}/retry")).status_code == 202
    ended = await ground.client.ended(asked)
    assert (ended["state"], ended["attempt"]) == ("succeeded", 2)
    await ground.again()


async def test_one_that_dies_with_its_evaluator_is_called_again(ground: Ground) -> None:
    evaluator = await start_waiting_evaluator(ground.running)
    asked = await ground.ask(await ground.bring(60))
    assert await asyncio.to_thread(evaluator.entered.wait, 30)
    await ground.again()
    ended = await ground.client.ended(asked)
    assert (ended["state"], ended["attempt"], ended["error"]) == ("succeeded", 1, None)


async def test_a_lost_report_is_made_again_and_a_lost_truth_is_asked_for(ground: Ground) -> None:
    truth = await ground.bring(70)
    asked = await ground.ask(truth)
    first = await ground.client.ended(asked)
    ground.lose("report")
    assert await ground.ask(truth) == asked
    ended = await ground.client.ended(asked)
    assert (ended["state"], ended["attempt"], ended["result_digest"]) == ("succeeded", 2, first["result_digest"])

    ground.lose("report", "truth")
    assert await ground.ask(truth) == asked
    ended = await ground.client.ended(asked)
    assert (ended["state"], ended["error"]["reason"]) == ("failed", "GONE")
    assert "bring its file again" in ended["error"]["detail"]
    assert (await ground.bring(70))["id"] == truth["id"]
    assert (await ground.client.http.post(f"/v1/jobs/{asked}/retry")).status_code == 202
    assert (await ground.client.ended(asked))["state"] == "succeeded"


async def test_evaluations_go_with_what_they_measured_and_leave_no_object(ground: Ground) -> None:
    http = ground.client.http
    await ground.client.ended(await ground.ask(await ground.bring(80)))
    assert ground.left()
    assert (await http.delete(f"/v1/jobs/{ground.job['id']}")).status_code == 204
    assert (await http.get("/v1/evaluations")).json()["evaluations"] == []
    for truth in (await http.get("/v1/truths")).json()["truths"]:
        assert (await http.delete(f"/v1/truths/{truth['id']}")).status_code == 204
    await until(lambda: not ground.left())
