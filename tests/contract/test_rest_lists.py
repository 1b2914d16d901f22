"""Lists come in parts, whatever is added or taken away between them, and cost no question per row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from tests.contract.rest_world import World, check_problem, say

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def parts(world: World, path: str, name: str, **query: Any) -> list[list[dict[str, Any]]]:
    """Every part of a list."""
    found, cursor = [], None
    while True:
        params = query | ({"cursor": cursor} if cursor else {})
        body = world.client.ok(await world.http.get(path, params=params))
        found.append(body[name])
        cursor = body["next_cursor"]
        if cursor is None:
            return found


async def test_a_list_comes_in_parts_that_nothing_shifts(world: World) -> None:
    for number in range(4):
        await world.http.post("/v1/label-sets", json={"name": f"Set {number}"})
    whole = [one["id"] for one in (await world.http.get("/v1/label-sets")).json()["label_sets"]]
    several = await parts(world, "/v1/label-sets", "label_sets", limit=2)
    assert [len(part) for part in several] == [2, 2, 1]
    assert [one["id"] for part in several for one in part] == whole == sorted(whole)


async def test_the_newest_come_first_and_what_comes_meanwhile_moves_no_one(world: World) -> None:
    first = (await world.http.get("/v1/slides", params={"limit": 1})).json()
    assert first["next_cursor"] is None
    other = world.client.ok(await world.http.post("/v1/slides", json={"path": "scans/other.tiff"}))
    part = (await world.http.get("/v1/slides", params={"limit": 1})).json()
    assert [one["id"] for one in part["slides"]] == [other["id"]]
    rest = (await world.http.get("/v1/slides", params={"limit": 1, "cursor": part["next_cursor"]})).json()
    assert ([one["id"] for one in rest["slides"]], rest["next_cursor"]) == ([world.slide["id"]], None)


async def test_every_list_has_parts(world: World) -> None:
    labelling = await world.labelling()
    for seq in range(3):
        assert (await say(world, labelling, "cell_set", {"row": seq, "class_number": 1})).status_code == 201
    events = await parts(world, f"{labelling}/events", "events", limit=2)
    assert [[one["seq"] for one in part] for part in events] == [[1, 2], [3]]
    query = {"clustering_id": world.job["clustering_id"], "limit": 1}
    labellings = await parts(world, "/v1/labellings", "labellings", **query)
    assert labelling.endswith(labellings[-1][0]["id"])
    assert [len(part) for part in labellings] == [1] * len(labellings)
    for path in ("/v1/jobs", "/v1/clusterings"):
        assert len(await parts(world, path, path.rpartition("/")[2], limit=1)) == 1


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 1001}, {"limit": "many"}])
async def test_limits_that_make_no_sense(world: World, query: dict[str, Any]) -> None:
    check_problem(await world.http.get("/v1/slides", params=query), 422, "INVALID_ARGUMENT")


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "eA", "%00", "é", "MTIz"])
async def test_a_cursor_that_is_none(world: World, cursor: str) -> None:
    """What is no number is no cursor of a list by number."""
    events = f"/v1/labellings/{world.job['labelling_id']}/events"
    answer = await world.http.get(events, params={"cursor": cursor})
    if cursor == "MTIz":
        assert answer.json() == {"events": [], "next_cursor": None}
    else:
        check_problem(answer, 400, "INVALID_ARGUMENT")


@contextmanager
def statements(world: World) -> Iterator[list[str]]:
    """What the database is asked about label sets meanwhile."""
    asked: list[str] = []

    def note(_c: object, _k: object, statement: str, *_: object) -> None:
        if "FROM label_" in statement:
            asked.append(statement)

    event.listen(world.client.ledger.engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(world.client.ledger.engine, "before_cursor_execute", note)


async def test_a_list_of_many_costs_no_more_questions_than_one_of_one(world: World) -> None:
    with statements(world) as of_one:
        await world.http.get("/v1/label-sets", params={"limit": 1})
    with statements(world) as of_all:
        assert len((await world.http.get("/v1/label-sets")).json()["label_sets"]) > 1
    assert len(of_all) == len(of_one), of_all
