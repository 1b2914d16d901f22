"""A gateway over real services with one slide that was worked on: what tests of REST speak to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers.gateway import Client, Services


@dataclass
class World:
    """A gateway with one slide that was worked on."""

    client: Client
    running: Services
    slide: dict[str, Any]
    job: dict[str, Any]

    @property
    def http(self) -> httpx.AsyncClient:
        return self.client.http

    @property
    def clustering(self) -> str:
        return f"/v1/clusterings/{self.job['clustering_id']}"

    async def labelling(self) -> str:
        """A labelling of its own for a test, where nothing was said yet."""
        body = {"clustering_id": self.job["clustering_id"]}
        answer = await self.http.post("/v1/labellings", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.headers["location"])

    @property
    def objects_folder(self) -> Path:
        """Where the store's objects lie."""
        return Path(str(self.client.components.settings.scratch)) / "objects"

    def uploads(self) -> list[Path]:
        """What uploads left on the disk."""
        return list(Path(str(self.client.components.settings.scratch)).glob("morula-upload-*"))

    def objects(self) -> set[str]:
        return {stored.key for stored in self.running.store.list("")}


async def until(true: Callable[[], bool]) -> None:
    """Waits for what nobody tells."""
    for _ in range(6000):
        if true():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it never came to be")


def check_problem(response: httpx.Response, status: int, reason: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert (problem["status"], problem["reason"]) == (status, reason)
    assert problem["title"]
    assert problem["detail"]
    return problem


async def say(world: World, labelling: str, kind: str, body: dict[str, Any], seq: int | None = None) -> httpx.Response:
    event = {"kind": kind, "body": body} | ({"expected_seq": seq} if seq is not None else {})
    return await world.http.post(f"{labelling}/events", json=event)


def page_body(page: dict[str, Any], class_number: int, odd: int = 0) -> dict[str, Any]:
    """What naming this page says."""
    cells = [
        {"row": cell["row"], "class_number": 0 if n < odd else class_number, "shown_class_number": cell["class_number"]}
        for n, cell in enumerate(page["cells"])
    ]
    return {"place": page["place"], "cells": cells, "class_number": class_number, "page_seq": page["seq"]}


async def name_page(world: World, labelling: str, class_number: int, odd: int = 0) -> dict[str, Any]:
    page = (await world.http.get(f"{labelling}/page")).json()
    answer = await say(world, labelling, "page_named", page_body(page, class_number, odd))
    assert answer.status_code == 201, answer.text
    state: dict[str, Any] = answer.json()
    return state


async def labelled(world: World, *numbers: int) -> str:
    """Where a labelling lies that has a page of each of these classes."""
    labelling = await world.labelling()
    for number in numbers:
        await name_page(world, labelling, number)
    return labelling


async def caught_up(world: World, labelling: str) -> dict[str, Any]:
    """The labelling once the labeller, which may be slow, has learnt from all that was said."""
    async with asyncio.timeout(60):
        while True:
            state: dict[str, Any] = (await world.http.get(labelling)).json()
            if state["learned_seq"] == state["seq"]:
                return state
            await asyncio.sleep(0.1)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
