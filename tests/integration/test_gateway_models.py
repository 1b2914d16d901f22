"""Models as people are told of them, and the licence gate: what is refused is so wherever a job may begin."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from morula.common import imported
from morula.common.compute import Slot
from morula.common.models import Description, add_rows, find
from morula.common.testing import write_slide
from morula.segmenter import watershed
from morula.segmenter.servicer import SegmenterServicer
from tests.servers.gateway import Client, Job, gateway, services
from tests.servers.jobs import classical

BORROWED = "borrowed"
COARSE = {"segmenter": BORROWED, "mpp": 1.0}


@pytest.fixture
def borrowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that runs, under a licence that forbids commercial use."""
    monkeypatch.setattr("morula.common.models._added", {})
    words = Description("CC BY-NC 4.0", "somebody's slides", "no")
    add_rows([replace(find("watershed", "segmenter"), name=BORROWED, description=words)])


def check_refused(answer: httpx.Response) -> None:
    problem = answer.json()
    assert (answer.status_code, problem["reason"], problem["model"]) == (403, "LICENCE_FORBIDS", BORROWED)
    for words in (BORROWED, "CC BY-NC 4.0", "somebody's slides", "do not allow", "Choose a segmenter"):
        assert words in problem["detail"]


async def models_there(client: Client) -> dict[str, Any]:
    return {model["name"]: model for model in client.ok(await client.http.get("/v1/models"))["models"]}


async def made_by(client: Client, job: Job) -> dict[str, str]:
    """Models of a job's manifest, and whether they may be used commercially."""
    manifest = await client.http.get(f"/v1/jobs/{job['id']}/files/manifest.json")
    return {row["name"]: row["commercial"] for row in manifest.json()["models"]}


def check_told(told: dict[str, Any], job: Job) -> None:
    """What each model is, and how fast those were that did the job."""
    words = {name: told[BORROWED][name] for name in ("licence", "trained_on", "commercial", "refusal", "is_default")}
    assert words == {
        "licence": "CC BY-NC 4.0",
        "trained_on": "somebody's slides",
        "commercial": "no",
        "refusal": None,
        "is_default": False,
    }
    assert told[BORROWED]["defaults"] == {"diameter_um": 8.0, "min_area_um2": 10.0, "keep_rejected": False}
    assert told["watershed"]["speed"] is None, "it has not worked here yet"
    seconds = {stage["stage"]: stage["seconds"] for stage in job["stages"]}
    megapixels = job["kept_tile_count"] * 512**2 / 1e6
    for name, stage in ((BORROWED, "segment"), ("morphology", "embed")):
        speed = told[name]["speed"]
        assert speed["shard_count"] == 1
        assert speed["seconds_per_megapixel"] == pytest.approx(seconds[stage] / megapixels, rel=0.05)
        assert speed["seconds_per_mm2"] == pytest.approx(4 * speed["seconds_per_megapixel"])


async def test_what_forbids_it_is_not_used_commercially(borrowed: None, tmp_path: Path) -> None:
    write_slide(tmp_path / "slide.tiff", 1200, 700)
    write_slide(tmp_path / "other.tiff", 600, 500)
    models = {"watershed": watershed.segment, BORROWED: watershed.segment}
    async with services(tmp_path, without=("segmenter",)) as running:
        segmenter = SegmenterServicer(running.store, Slot("segmenter"), models)
        await running.start("segmenter", segmenter)
        async with gateway(running, tmp_path, profile="research") as client:
            slide = (await client.upload(tmp_path / "slide.tiff"))["id"]
            done = await client.run(slide, segmenter=BORROWED)
            assert done["state"] == "succeeded"
            check_told(await models_there(client), done)
            other = await client.run((await client.upload(tmp_path / "other.tiff"))["id"], segmenter=BORROWED)
            both = {"job_ids": [other["id"], done["id"]]}
            cohort = await client.ended(client.ok(await client.http.post("/v1/clusterings", json=both))["id"])
            assert await made_by(client, cohort) == {BORROWED: "no", "morphology": "yes"}
            await running.stop("segmenter")
            begun = client.ok(await client.http.post("/v1/jobs", json=classical(slide, **COARSE)))
        await running.start("segmenter", segmenter)
        async with gateway(running, tmp_path, profile="commercial") as client:
            check_refused(await client.http.post("/v1/jobs", json={"slide_id": slide, "segmenter": BORROWED}))
            check_refused(await client.http.post(f"/v1/jobs/{done['id']}/retry"))
            check_refused(await client.http.post("/v1/clusterings", json={"job_ids": both["job_ids"], "name": "again"}))
            refused = {name for name, model in (await models_there(client)).items() if model["refusal"]}
            assert refused == {BORROWED, imported.MODEL}
            taken_up = await client.ended(begun["id"])
            assert (taken_up["state"], taken_up["error"]["reason"]) == ("failed", "LICENCE_FORBIDS")
            assert await made_by(client, done) == {BORROWED: "no", "morphology": "yes"}, "what is there stays"
            assert (await client.run(slide))["state"] == "succeeded"
