"""Labels over REST: pages, undo, cluster names, label sets, exports."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import numpy as np
import pyarrow.parquet as pq
import pytest
from structlog.testing import capture_logs

from morula.common.formats import NOISE_LEAF
from morula.gateway.ledger import labels
from tests.contract.rest_world import World, caught_up, check_problem, flip, labelled, name_page, page_body, say

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_person_labels_pages_and_a_model_learns(world: World) -> None:
    labelling = await world.labelling()
    state = (await world.http.get(labelling)).json()
    assert (state["seq"], state["spread"], state["can_undo"], state["version"]) == (0, "none", False, 0)
    assert state["unlabelled_count"] == world.job["cell_count"]
    for number in (1, 2, 1, 2):
        state = await name_page(world, labelling, number, odd=1)
    assert (state["seq"], state["learned_seq"], state["page_count"]) == (4, 4, 4)
    assert (state["version"], state["mark_count"], state["seen_count"]) == (4, 44, 48)
    assert state["spread"] in ("model", "clusters")
    assert state["held_out"]["cell_count"] > 0
    counted = sum(one["cell_count"] for one in state["class_counts"]) + state["unlabelled_count"]
    assert counted == world.job["cell_count"]
    for layer in ("class", "confidence"):
        answer = await world.http.get(f"{labelling}/layers/4/{layer}", headers={"range": "bytes=0-9"})
        assert (answer.status_code, len(answer.content)) == (206, 10)
    await check_exports(world, labelling)
    await check_blind_enter(world, labelling, state["held_out"])


async def check_blind_enter(world: World, labelling: str, before: dict[str, Any]) -> None:
    """A page accepted as it was labelled is no evidence for what labelled it."""
    page = (await world.http.get(f"{labelling}/page")).json()
    body = page_body(page, page["cells"][0]["class_number"])
    for cell in body["cells"]:
        cell["class_number"] = cell["shown_class_number"]
    after = (await say(world, labelling, "page_named", body)).json()
    assert (after["page_count"], after["learned_seq"]) == (5, 5)
    counts = ("cell_count", "page_count")
    assert [after["held_out"][name] for name in counts] == [before[name] for name in counts]
    assert after["held_out"]["accuracy"] <= before["accuracy"] + 0.01


async def check_exports(world: World, labelling: str) -> None:
    table = pq.read_table(io.BytesIO((await world.http.get(f"{labelling}/labels.parquet")).content))
    assert table.num_rows == world.job["cell_count"]
    numbers = table["class_number"].to_pylist()
    marked = [number for number, source in zip(numbers, table["source"].to_pylist(), strict=True) if source == "mark"]
    assert sum(number > 0 for number in marked) == 44
    odd = (await world.http.get(labelling)).json()["odd"]
    assert len(odd) == 4
    assert all(numbers[row] != of for row, of in odd)
    packed = (await world.http.get(f"{labelling}/cells.geojson.gz")).content
    features = json.loads(gzip.decompress(packed))["features"]
    assert [feature["id"] for feature in features] == table["cell_id"].to_pylist()
    called = [feature["properties"].get("classification", {}).get("name") for feature in features]
    assert called == table["class_name"].to_pylist()
    leaves = np.frombuffer((await world.http.get(f"{world.clustering}/layers/leaf")).content, "<u2").tolist()
    node_of_leaf = (await world.http.get(f"{labelling}/cut")).json()["node_of_leaf"]
    for feature, leaf, confidence in zip(features, leaves, table["confidence"].to_pylist(), strict=True):
        told = {} if confidence is None else {"Confidence": round(confidence, 3)}
        if leaf != NOISE_LEAF:
            told |= {"Leaf": leaf, "Cluster": node_of_leaf[leaf]}
        assert feature["properties"]["measurements"] == told


async def test_one_named_page_labels_no_cell_of_a_cluster_that_nobody_saw(world: World) -> None:
    labelling = await world.labelling()
    node = (await world.http.get(f"{labelling}/cut")).json()["node_of_leaf"][0]
    page = (await world.http.get(f"{labelling}/page?node_id={node}")).json()
    state = (await say(world, labelling, "page_named", page_body(page, 1))).json()
    named = {one["node_id"]: one["class_number"] for one in state["cluster_names"]}
    assert set(named.values()) == {1}
    table = pq.read_table(io.BytesIO((await world.http.get(f"{labelling}/labels.parquet")).content)).to_pylist()
    leaves = np.frombuffer((await world.http.get(f"{world.clustering}/layers/leaf")).content, "<u2").tolist()
    node_of_leaf = (await world.http.get(f"{labelling}/cut")).json()["node_of_leaf"]
    for cell, leaf in zip(table, leaves, strict=True):
        inside = leaf != NOISE_LEAF and node_of_leaf[leaf] in named
        if cell["source"] == "mark":
            assert (cell["class_number"], cell["confidence"]) == (1, 1.0)
        else:
            assert (cell["source"], cell["class_number"]) == (("cluster", 1) if inside else ("none", 0))
            assert cell["confidence"] is None
    unseen = sum(cell["class_number"] == 0 for cell in table)
    assert 0 < unseen == state["unlabelled_count"] == world.job["cell_count"] - state["class_counts"][0]["cell_count"]


async def test_each_answer_names_its_own_event_also_where_others_speak_meanwhile(world: World) -> None:
    labelling = await world.labelling()
    bodies = [{"row": row, "class_number": 1} for row in range(4)]
    answers = await asyncio.gather(*(say(world, labelling, "cell_set", body) for body in bodies))
    log = (await world.http.get(f"{labelling}/events")).json()["events"]
    seq_of = {event["body"]["row"]: event["seq"] for event in log}
    assert sorted(seq_of.values()) == [1, 2, 3, 4]
    assert [answer.json()["event_seq"] for answer in answers] == [seq_of[row] for row in range(4)]


async def test_a_page_shows_cells_that_nobody_saw(world: World) -> None:
    labelling = await world.labelling()
    page = (await world.http.get(f"{labelling}/page?cell_count=9")).json()
    assert [cell["letter"] for cell in page["cells"]] == list("ABCDEFGHI")
    assert (page["number"], page["reason"]) == (1, "largest_cluster")
    nodes = (await world.http.get(f"{labelling}/cut")).json()["node_of_leaf"]
    assert page["place"]["node_id"] not in nodes
    assert page["place"]["cell_count"] > 0.9 * world.job["cell_count"]
    assert page["cluster_count"] == len(nodes)
    assert page["facts"]
    assert all(0 <= fact["position"] <= 1 and len(fact["histogram"]) == 24 for fact in page["facts"])
    assert 0 < len(page["where"]["points"]) <= 400
    named = (await world.http.get(f"{labelling}/page")).json()
    await name_page(world, labelling, 1)
    following = (await world.http.get(f"{labelling}/page")).json()
    assert following["number"] == 2
    assert not {cell["row"] for cell in page["cells"]} & {cell["row"] for cell in following["cells"]}
    again = (await world.http.get(f"{labelling}/pages/1")).json()
    same = ("number", "seq", "place", "sentence", "facts", "where", "window_um")
    assert {name: again[name] for name in same} == {name: named[name] for name in same}
    assert [cell["row"] for cell in again["cells"]] == [cell["row"] for cell in named["cells"]]
    check_problem(await world.http.get(f"{labelling}/pages/2"), 404, "NOT_FOUND")
    node = page["place"]["node_id"]
    asked = (await world.http.get(f"{labelling}/page?node_id={node}")).json()
    assert (asked["place"]["node_id"], asked["reason"]) == (node, "requested")


async def test_undo_takes_back_the_last_word(world: World) -> None:
    labelling = await world.labelling()
    before = await name_page(world, labelling, 1)
    named = (await say(world, labelling, "cell_set", {"row": 5, "class_number": 3}, before["seq"])).json()
    assert [5, 3] in named["marks"]
    assert named["last_event"] == {"seq": 2, "kind": "cell_set", "sentence": "Cell 5: Stroma"}
    undone = (await say(world, labelling, "undone", {"seq": 2}, 2)).json()
    assert undone["marks"] == before["marks"]
    assert undone["last_event"] == before["last_event"]
    assert (await say(world, labelling, "undone", {"seq": 2}, 3)).status_code == 400
    log = (await world.http.get(f"{labelling}/events")).json()["events"]
    assert [event["kind"] for event in log] == ["page_named", "cell_set", "undone"]


async def test_a_cluster_is_named_whole_and_finer_clusters_inherit(world: World) -> None:
    labelling = await world.labelling()
    cut = (await world.http.put(f"{labelling}/cut", json={"cluster_count": 2})).json()
    node = cut["node_of_leaf"][0]
    state = (await say(world, labelling, "cluster_named", {"node_id": node, "class_number": 2})).json()
    assert {"node_id": node, "class_number": 2, "explicit": True} in state["cluster_names"]
    finer = (await world.http.put(f"{labelling}/cut", json={"cluster_count": 8})).json()
    state = (await world.http.get(labelling)).json()
    below = {new for old, new in zip(cut["node_of_leaf"], finer["node_of_leaf"], strict=True) if old == node}
    assert below <= {one["node_id"] for one in state["cluster_names"] if one["explicit"]}
    assert (await world.http.put(f"{labelling}/cut", json={"cluster_count": 4000})).status_code == 400
    assert (await world.http.put(f"{labelling}/cut", json={"cluster_count": 0})).status_code == 422


async def test_who_did_not_see_the_last_event_is_told(world: World) -> None:
    labelling = await world.labelling()
    body = {"row": 1, "class_number": 1}
    answers = await asyncio.gather(*(say(world, labelling, "cell_set", body, 0) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 412, 412, 412]
    stale = next(answer for answer in answers if answer.status_code == 412)
    assert check_problem(stale, 412, "STALE")["seq"] == "1"


async def test_a_word_is_bound_to_the_page_that_was_seen(world: World) -> None:
    """Two tabs show one page; a third person labels another one."""
    labelling = await world.labelling()
    nodes = (await world.http.get(f"{labelling}/cut")).json()["node_of_leaf"]
    shown = (await world.http.get(f"{labelling}/page?node_id={nodes[0]}")).json()
    assert shown["seq"] == 0
    elsewhere = next(node for node in nodes if node != nodes[0])
    other = (await world.http.get(f"{labelling}/page?node_id={elsewhere}")).json()
    first = page_body(shown, 1)
    answers = await asyncio.gather(*(say(world, labelling, "page_named", first | {"class_number": n}) for n in (1, 1)))
    assert sorted(answer.status_code for answer in answers) == [201, 412]
    stale = next(answer for answer in answers if answer.status_code == 412)
    problem = check_problem(stale, 412, "STALE")
    assert problem["rows"].split(",") == [str(cell["row"]) for cell in shown["cells"]]
    assert (await say(world, labelling, "page_named", page_body(other, 2))).status_code == 201
    again = page_body(shown, 2) | {"page_seq": 1}
    assert (await say(world, labelling, "page_named", again)).status_code == 201, "its own event is known"
    assert (await say(world, labelling, "page_named", first)).status_code == 412
    assert [event["seq"] for event in (await world.http.get(f"{labelling}/events")).json()["events"]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("page_named", {}),
        ("page_named", {"place": {"node_id": 1, "leaf": 0}, "cells": [], "class_number": 1, "page_seq": 0}),
        (
            "page_named",
            {"place": {"node_id": 1, "leaf": 0}, "cells": [{"row": 1, "class_number": 1}], "class_number": 1},
        ),
        ("cell_set", {"row": -1, "class_number": 1}),
        ("cell_set", {"row": 10**9, "class_number": 1}),
        ("cell_set", {"row": 1.5, "class_number": 1}),
        ("cell_set", {"row": True, "class_number": 1}),
        ("cell_set", {"row": 1, "class_number": 99}),
        ("cell_set", {"row": 1, "class_number": 255}),
        ("cell_set", {"row": 1}),
        ("cluster_named", {"node_id": 10**6, "class_number": 1}),
        ("cluster_named", {"node_id": "1", "class_number": 1}),
        ("undone", {"seq": 0}),
        ("renamed", {"row": 1}),
    ],
)
async def test_events_that_make_no_sense(world: World, kind: str, body: dict[str, Any]) -> None:
    labelling = await world.labelling()
    answer = await say(world, labelling, kind, body)
    check_problem(answer, 422, "INVALID_ARGUMENT")
    assert (await world.http.get(labelling)).json()["seq"] == 0


async def test_what_is_wrong_with_an_event_is_told_where_it_was_sent(world: World) -> None:
    labelling = await world.labelling()
    answer = await say(world, labelling, "cell_set", {"row": -1, "class_number": 1})
    assert [one["pointer"] for one in answer.json()["errors"]] == ["body/body/row"]
    unknown = check_problem(await say(world, labelling, "renamed", {}), 422, "INVALID_ARGUMENT")
    assert "page_named" in unknown["detail"]


async def test_a_page_with_a_cell_twice_is_refused(world: World) -> None:
    cell = {"row": 1, "class_number": 1, "shown_class_number": None}
    body = {"place": {"node_id": 1, "leaf": 0}, "cells": [cell, cell], "class_number": 1, "page_seq": 0}
    assert (await say(world, await world.labelling(), "page_named", body)).status_code == 422


async def test_labels_are_kept_while_the_labeller_is_away(world: World) -> None:
    labelling = await world.labelling()
    await world.http.put(f"{labelling}/cut", json={"cluster_count": 4})
    await world.running.stop("labeller")
    try:
        state = (await say(world, labelling, "cell_set", {"row": 1, "class_number": 2})).json()
        assert (state["seq"], state["learned_seq"]) == (1, 0)
        assert state["marks"] == [[1, 2]]
    finally:
        await world.running.start("labeller")
    newest = await world.client.components.listeners.newest()
    async for _ in world.client.components.listeners.follow(newest - 1, "labelling"):
        state = (await world.http.get(labelling)).json()
        if state["learned_seq"] == state["seq"]:
            break


async def test_label_sets_grow_and_never_shrink(world: World) -> None:
    made = await world.http.post("/v1/label-sets", json={"name": "Mine", "classes": [{"name": "One"}]})
    path = made.headers["location"]
    assert [(one["number"], one["name"], one["key"]) for one in made.json()["classes"]] == [
        (1, "One", "1"),
        (250, "Not a cell", "X"),
    ]
    grown = (await world.http.post(f"{path}/classes", json={"name": "Two", "color": "#010203"})).json()
    assert grown["classes"][1]["color"] == "#010203"
    renamed = (await world.http.patch(f"{path}/classes/1", json={"name": "First"})).json()
    assert renamed["classes"][0]["name"] == "First"
    assert (await world.http.post(f"{path}/classes", json={"name": "Two"})).status_code == 409
    assert (await world.http.post(f"{path}/classes", json={"name": "x", "color": "red"})).status_code == 422
    assert (await world.http.patch(f"{path}/classes/77", json={"name": "x"})).status_code == 404


def box(width_px: int, height_px: int = 800) -> dict[str, Any]:
    ring = [[0, 0], [width_px, 0], [width_px, height_px], [0, height_px], [0, 0]]
    return {"type": "Polygon", "coordinates": [ring]}


async def test_labels_move_to_a_new_clustering_of_the_same_cells(world: World) -> None:
    """A run again with other parameters: what was said comes along by the cells' ids, the earlier board stays."""
    labelling = await world.labelling()
    await world.http.put(f"{labelling}/cut", json={"cluster_count": 3})
    for number in (1, 2, 1):
        await name_page(world, labelling, number, odd=1)
    await say(world, labelling, "undone", {"seq": 2})
    node = (await world.http.get(f"{labelling}/cut")).json()["node_of_leaf"][0]
    before = (await say(world, labelling, "cluster_named", {"node_id": node, "class_number": 2})).json()
    job = await world.client.run(world.slide["id"], include=box(1100))
    assert job["clustering_id"] != world.job["clustering_id"]
    after = (await world.http.get(f"/v1/labellings/{job['labelling_id']}")).json()
    assert after["moved"] == {
        "from_labelling_id": before["id"],
        "cell_count": 24,
        "dropped_cell_count": 0,
        "dropped_name_count": 0,
    }
    assert (after["page_count"], after["mark_count"], after["seq"]) == (2, 22, 3)
    assert after["learned_seq"] == 3
    assert any(one["explicit"] for one in after["cluster_names"]), "the node holds the same cells there"
    assert await words_by_id(world, labelling) == await words_by_id(world, f"/v1/labellings/{after['id']}")
    slide = (await world.http.get(f"/v1/slides/{world.slide['id']}")).json()
    first = slide["labellings"][0]
    assert (first["id"], first["page_count"], first["moved_from"]) == (after["id"], 2, before["id"])
    assert (first["segmenter"], first["slide_count"], first["job_id"]) == ("watershed", 1, job["id"])
    listed = (await world.http.get("/v1/slides")).json()["slides"]
    assert next(one for one in listed if one["id"] == slide["id"]) == slide
    told = [(one["id"], one["page_count"], one["word_count"]) for one in slide["labellings"]]
    assert (before["id"], 2, 3) in told
    empty = [one["word_count"] == 0 for one in slide["labellings"]]
    assert empty == sorted(empty), "where something was said comes first"
    again = (await world.http.get(f"{labelling}/events")).json()["events"]
    assert len(again) == 5, "the earlier labelling stays as it was"


async def words_by_id(world: World, labelling: str) -> dict[str, int]:
    table = pq.read_table(io.BytesIO((await world.http.get(f"{labelling}/labels.parquet")).content))
    rows = zip(
        table["cell_id"].to_pylist(), table["class_number"].to_pylist(), table["source"].to_pylist(), strict=True
    )
    return {cell_id: number for cell_id, number, source in rows if source == "mark" and number}


async def test_labels_move_by_hand_and_cells_that_are_not_there_are_counted(world: World) -> None:
    labelling = await labelled(world, 1, 2)
    node = (await world.http.get(f"{labelling}/cut")).json()["node_of_leaf"][0]
    await say(world, labelling, "cluster_named", {"node_id": node, "class_number": 2})
    said = await words_by_id(world, labelling)
    source = labelling.rsplit("/", 1)[1]
    job = await world.client.run(world.slide["id"], include=box(1100, 500))
    body = {"clustering_id": job["clustering_id"], "from_labelling_id": source}
    made = await world.http.post("/v1/labellings", json=body)
    assert made.status_code == 201, made.text
    moved = made.json()["moved"]
    words = await words_by_id(world, made.headers["location"])
    assert words.items() < said.items()
    assert (moved["cell_count"], moved["dropped_cell_count"]) == (len(words), len(said) - len(words))
    assert moved["dropped_name_count"] == 1, "what a node of another tree holds is another thing"
    both = await world.http.post("/v1/labellings", json=body | {"label_set_id": "any"})
    check_problem(both, 422, "INVALID_ARGUMENT")


async def test_labels_do_not_move_to_other_cells(world: World) -> None:
    labelling = await world.labelling()
    await name_page(world, labelling, 1)
    with capture_logs() as said:
        job = await world.client.run(world.slide["id"], mpp=0.6)
    told = [line for line in said if line["event"] == "labels stay where they are"]
    assert labelling.rsplit("/", 1)[1] in {line["from_labelling_id"] for line in told}
    assert {line["cell_count"] for line in told} == {0}
    state = (await world.http.get(f"/v1/labellings/{job['labelling_id']}")).json()
    assert (state["seq"], state["moved"]) == (0, None)
    body = {"clustering_id": job["clustering_id"], "from_labelling_id": labelling.rsplit("/", 1)[1]}
    check_problem(await world.http.post("/v1/labellings", json=body), 409, "CONFLICT")
    offered = (await world.http.get(f"/v1/slides/{world.slide['id']}")).json()["labellings"]
    assert offered[0]["page_count"] > 0
    assert state["id"] in {one["id"] for one in offered}


@pytest.mark.parametrize("damage", [flip, Path.unlink])
async def test_what_was_learnt_and_is_lost_is_learnt_again(world: World, damage: Callable[[Path], Any]) -> None:
    labelling = await labelled(world, 1, 2, 1, 2)
    state = await caught_up(world, labelling)
    learnt = await world.client.ledger.read(labels.get_layer, state["id"], state["version"])
    for layer, places in {
        "class_layer": ("", "/page", "/labels.parquet", f"/layers/{state['version']}/class"),
        "confidence_layer": ("/cells.geojson.gz", f"/layers/{state['version']}/confidence"),
    }.items():
        ref = learnt["learnt"][layer]
        was = world.running.store.get(ref["key"], ref["sha256"])
        for place in places:
            damage(world.objects_folder / ref["key"])
            assert (await world.http.get(f"{labelling}{place}")).status_code != 410
            await caught_up(world, labelling)
            answer = await world.http.get(f"{labelling}{place}")
            assert answer.status_code == 200, (place, answer.text)
            assert world.running.store.get(ref["key"], ref["sha256"]) == was
    assert await caught_up(world, labelling) == state | {"learned_s": ANY}
    # Nobody reads it before the same is learnt again.
    await say(world, labelling, "cell_set", {"row": 5, "class_number": 2})
    damage(world.objects_folder / learnt["learnt"]["class_layer"]["key"])
    await say(world, labelling, "undone", {"seq": state["seq"] + 1})
    assert (await caught_up(world, labelling))["class_counts"] == state["class_counts"]


async def test_layers_that_are_lost_while_the_labeller_is_away_are_learnt_once_it_is_back(world: World) -> None:
    labelling = await labelled(world, 2, 1, 2, 1)
    state = await caught_up(world, labelling)
    learnt = await world.client.ledger.read(labels.get_layer, state["id"], state["version"])
    flip(world.objects_folder / learnt["learnt"]["class_layer"]["key"])
    await world.running.stop("labeller")
    try:
        meanwhile = (await world.http.get(labelling)).json()
        assert (meanwhile["seq"], meanwhile["learned_seq"] < state["seq"]) == (state["seq"], True)
    finally:
        await world.running.start("labeller")
    assert await caught_up(world, labelling) == state | {"learned_s": ANY}
