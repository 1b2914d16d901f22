"""A world whose cells are measured against truths, and where its cells lie."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from morula.common.store import Store
from morula.common.testing import write_slide
from tests.contract.rest_world import World
from tests.servers.gateway import gateway, services


@dataclass
class Evaluated:
    """A world and where its cells lie."""

    world: World
    cells: list[dict[str, Any]]

    @property
    def http(self) -> httpx.AsyncClient:
        return self.world.http

    def kind(self, cell: dict[str, Any]) -> str:
        """A truth that is worth telling: what lies left and what lies right."""
        return "left" if cell["x_px"] < 550 else "right"

    async def bring(self, content: bytes, name: str = "truth.csv") -> dict[str, Any]:
        answer = await self.http.post("/v1/truths", files={"file": (name, content)})
        assert answer.status_code in (200, 201), answer.text
        found: dict[str, Any] = answer.json()
        assert answer.headers["location"] == f"/v1/truths/{found['id']}"
        return found

    async def evaluate(self, truth: dict[str, Any], **body: Any) -> dict[str, Any]:
        named = {"truth_id": truth["id"], "clustering_id": self.world.job["clustering_id"], "draw_count": 100}
        answer = await self.http.post("/v1/evaluations", json={**named, **body})
        assert answer.status_code == 202, answer.text
        job = await self.world.client.ended(answer.json()["id"])
        found: dict[str, Any] = (await self.http.get(answer.headers["location"])).json()
        assert (found["id"], found["state"], job["kind"]) == (job["id"], job["state"], "evaluation")
        return found


def table(rows: Sequence[dict[str, object]]) -> bytes:
    sink = io.StringIO()
    writer = csv.DictWriter(sink, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return sink.getvalue().encode()


@asynccontextmanager
async def evaluated(root: Path, url: str = "", store: Store | None = None) -> AsyncIterator[Evaluated]:
    write_slide(root / "tiny.tiff", 1100, 800)
    async with services(root, store=store) as running, gateway(running, root, url, folders={"here": root}) as client:
        slide = await client.upload(root / "tiny.tiff", name="Tiny", stain="H&E")
        world = World(client, running, slide, await client.run(slide["id"]))
        found = await world.http.get(f"{world.clustering}/cells?bbox=0,0,1100,800&limit=20000")
        yield Evaluated(world, found.json()["cells"])
