"""The licence gate through real services: what may not be used commercially is refused wherever a job may begin."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from morula.common.compute import Slot
from morula.common.models import REGISTRY, Description, add_rows
from morula.common.testing import write_slide
from morula.segmenter import watershed
from morula.segmenter.servicer import SegmenterServicer
from tests.servers.gateway import gateway, services
from tests.servers.jobs import classical

BORROWED = "borrowed"
COARSE = {"segmenter": BORROWED, "mpp": 1.0}


@pytest.fixture
def borrowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that runs, under a licence that forbids commercial use."""
    monkeypatch.setattr("morula.common.models._added", {})
    words = Description("CC BY-NC 4.0", "somebody's slides", "no")
    add_rows([replace(REGISTRY[0], name=BORROWED, description=words)])


def check_refused(answer: httpx.Response) -> None:
    problem = answer.json()
    assert (answer.status_code, problem["reason"], problem["model"]) == (403, "LICENCE_FORBIDS", BORROWED)
    for words in (BORROWED, "CC BY-NC 4.0", "somebody's slides", "do not allow", "Choose a segmenter"):
        assert words in problem["detail"]


async def test_what_forbids_it_is_not_used_commercially(borrowed: None, tmp_path: Path) -> None:
    write_slide(tmp_path / "slide.tiff", 1200, 700)
    models = {"watershed": watershed.segment, BORROWED: watershed.segment}
    async with services(tmp_path, without=("segmenter",)) as running:
        segmenter = SegmenterServicer(running.store, Slot("segmenter"), models)
        await running.start("segmenter", segmenter)
        async with gateway(running, tmp_path, profile="research") as client:
            slide = (await client.upload(tmp_path / "slide.tiff"))["id"]
            done = await client.run(slide, segmenter=BORROWED)
            assert done["state"] == "succeeded"
            await running.stop("segmenter")
            begun = client.ok(await client.http.post("/v1/jobs", json=classical(slide, **COARSE)))
        await running.start("segmenter", segmenter)
        async with gateway(running, tmp_path, profile="commercial") as client:
            check_refused(await client.http.post("/v1/jobs", json={"slide_id": slide, "segmenter": BORROWED}))
            check_refused(await client.http.post(f"/v1/jobs/{done['id']}/retry"))
            check_refused(await client.http.post("/v1/clusterings", json={"job_ids": [done["id"]]}))
            taken_up = await client.ended(begun["id"])
            assert (taken_up["state"], taken_up["error"]["reason"]) == ("failed", "LICENCE_FORBIDS")
            manifest = await client.http.get(f"/v1/jobs/{done['id']}/files/manifest.json")
            assert {row["name"]: row["commercial"] for row in manifest.json()["models"]}[BORROWED] == "no"
            assert (await client.run(slide))["state"] == "succeeded"
