"""Samples over REST: tiles that people label without seeing what was found, on a laptop's ground.

The evaluations' test of a cluster runs some of these there.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from morula.common.testing import write_slide
from morula.evaluator import published_files
from tests.contract import described
from tests.contract.evaluated import Evaluated, evaluated
from tests.contract.rest_world import check_problem

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORDS_OF_MACHINES = ("cluster", "leaf", "node", "score", "confidence", "pred", "cell_id")


class Ground(Evaluated):
    """A world whose cells are labelled by people."""

    async def sample(self, **body: Any) -> dict[str, Any]:
        wanted = {"job_ids": [self.world.job["id"]], "batch_count": 2, "cells_per_batch": 20, **body}
        answer = await self.http.post("/v1/samples", json=wanted)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        assert answer.headers["location"] == f"/v1/samples/{found['id']}"
        return found

    async def get(self, path: str) -> dict[str, Any]:
        answer = await self.http.get(path)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def say(self, sample: dict[str, Any], kind: str, body: dict[str, Any], **more: Any) -> Any:
        return await self.http.post(f"/v1/samples/{sample['id']}/events", json={"kind": kind, "body": body, **more})

    async def label(self, sample: dict[str, Any], tile: int, cells: list[int], number: int | None, **more: Any) -> Any:
        body = {"tile": tile, "cells": cells, "class_number": number}
        answer = await self.say(sample, "cells_labelled", body, **more)
        assert answer.status_code == 201, answer.text
        return answer.json()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ground(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    async with evaluated(tmp_path_factory.mktemp("samples")) as made:
        yield Ground(made.world, made.cells)


async def test_tiles_are_labelled_blind(ground: Ground) -> None:
    sample = await ground.sample(name="Blind")
    assert sample["tile_count"] >= sample["batch_count"] == len(sample["batches"]) == 2
    assert sum(batch["cell_count"] for batch in sample["batches"]) == sample["cell_count"]
    left = sum(one["cell_count"] for one in sample["left_out"])
    assert sample["cell_count"] + left == len(ground.cells), "nothing is left out in silence"

    tiles = (await ground.get(f"/v1/samples/{sample['id']}/tiles?batch=1"))["tiles"]
    tile = await ground.get(f"/v1/samples/{sample['id']}/tiles/{tiles[0]['number']}")
    assert len(tile["cells"]) == tile["cell_count"] == tiles[0]["cell_count"]
    assert not [word for word in WORDS_OF_MACHINES if f'"{word}' in str(tile).replace("'", '"')]
    picture = await ground.http.get(tile["picture"]["href"])
    assert picture.content.startswith(b"\xff\xd8")
    width, height = tile["picture"]["width_px"], tile["picture"]["height_px"]
    for cell in tile["cells"]:
        assert all(-width < x < 2 * width and -height < y < 2 * height for x, y in cell["outline"])

    number = tile["number"]
    first = await ground.label(sample, number, [1, 2], 1, actor="Ada")
    await ground.label(sample, number, [2], 2, actor="Ada")
    flag = {"tile": number, "cells": [1], "badly_segmented": True}
    assert (await ground.say(sample, "cells_flagged", flag, actor="Ada")).status_code == 201
    seen = await ground.get(f"/v1/samples/{sample['id']}/tiles/{number}?annotator=Ada")
    said = [(one["class_number"], one["badly_segmented"]) for one in seen["cells"][:3]]
    assert said[:2] == [(1, True), (2, False)]
    assert (seen["labelled_count"], seen["flagged_count"], seen["seq"]) == (2, 1, first["seq"] + 2)
    others = await ground.get(f"/v1/samples/{sample['id']}/tiles/{number}")
    assert {one["class_number"] for one in others["cells"]} == {None}, "annotators do not see each other's labels"

    undone = await ground.say(sample, "undone", {"seq": first["event_seq"] + 1}, actor="Ada")
    assert undone.json()["can_undo"] == first["event_seq"] + 2
    await ground.label(sample, number, [1], None, actor="Ada")
    now = await ground.get(f"/v1/samples/{sample['id']}?annotator=Ada")
    assert now["batches"][0]["labelled_count"] == 1
    assert now["annotators"] == [{"name": "Ada", "labelled_count": 1, "flagged_count": 1}]
    log = (await ground.get(f"/v1/samples/{sample['id']}/events"))["events"]
    assert [one["kind"] for one in log] == [*["cells_labelled"] * 2, "cells_flagged", "undone", "cells_labelled"]


async def test_the_same_event_is_kept_once_however_often_it_is_sent(ground: Ground) -> None:
    sample = await ground.sample()
    body = {"tile": 1, "cells": [1], "class_number": 1}
    many = await asyncio.gather(*(ground.say(sample, "cells_labelled", body, event_id="a") for _ in range(4)))
    assert sorted(one.status_code for one in many) == [200, 200, 200, 201]
    assert {one.json()["event_seq"] for one in many} == {1}
    other = await ground.say(sample, "cells_labelled", {**body, "class_number": 2}, event_id="a")
    check_problem(other, 409, "CONFLICT")
    at_once = await asyncio.gather(*(ground.label(sample, 1, [1], 1, event_id=str(n)) for n in range(8)))
    assert sorted(one["event_seq"] for one in at_once) == list(range(2, 10))
    stale = await ground.say(sample, "cells_labelled", body, expected_seq=3)
    check_problem(stale, 412, "STALE")


@pytest.mark.parametrize(
    ("kind", "body", "status", "words"),
    [
        ("cells_labelled", {"tile": 10**6, "cells": [1], "class_number": 1}, 422, "the sample has the tiles"),
        ("cells_labelled", {"tile": 1, "cells": [10**6], "class_number": 1}, 422, "tile 1 has the cells"),
        ("cells_labelled", {"tile": 1, "cells": [1], "class_number": 200}, 422, "no class of this number"),
        ("cells_labelled", {"tile": 1, "cells": [], "class_number": 1}, 422, "at least 1 item"),
        ("undone", {"seq": 7}, 400, "cannot be undone"),
        ("undone", {"seq": 1}, 400, "another annotator's"),
    ],
)
async def test_what_cannot_be_said_is_refused_and_nothing_is_written(
    ground: Ground, kind: str, body: dict[str, Any], status: int, words: str
) -> None:
    sample = await ground.sample()
    await ground.label(sample, 1, [1], 1, actor="Ada")
    answer = await ground.say(sample, kind, body, actor="Bob")
    assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert (await ground.get(f"/v1/samples/{sample['id']}"))["seq"] == 1


async def test_a_batch_that_was_sampled_elsewhere_is_labelled_here(ground: Ground) -> None:
    first = await ground.sample(cells_per_batch=100)
    batch = await ground.get(f"/v1/samples/{first['id']}/batches/1/cell_labels.json")
    # As the published system writes it: numbers count on over the slide, and no cell has an id of its own.
    (tile,) = batch["tiles"]
    for cell in tile["cells"]:
        cell |= {"cell_id": cell["cell_id"] + 500, "cluster_id": 3}
        del cell["uuid"]
    tile |= {"slide_id": "Tiny", "tile_name": "Tiny__MAG_1d00__X_0.png"}
    far = [[x + 9000, y] for x, y in tile["cells"][0]["polygon"]]
    tile["cells"].append({"cell_id": 9, "polygon": far})
    batch["tiles"].append({**tile, "tile_name": "Tiny__MAG_1d00__X_9", "x": 0, "y": 9999, "cells": []})
    wanted = {"job_ids": [ground.world.job["id"]], "batches": [batch], "name": "Theirs"}
    answer = await ground.http.post("/v1/samples", json=wanted)
    assert answer.status_code == 201, answer.text
    sample = answer.json()
    assert (sample["batch_count"], sample["tile_count"], sample["name"]) == (1, 1, "Theirs")
    assert [(one["reason"], one["tile_count"], one["cell_count"]) for one in sample["left_out"]] == [
        ("not_found", 1, 1)
    ]
    number = next(one["number"] for one in (await ground.get(f"/v1/samples/{first['id']}/tiles?batch=1"))["tiles"])
    tiles = [await ground.get(f"/v1/samples/{one}/tiles/{n}") for one, n in ((first["id"], number), (sample["id"], 1))]
    assert [cell["outline"] for cell in tiles[0]["cells"]] == [cell["outline"] for cell in tiles[1]["cells"]]

    await ground.label(sample, 1, [1, 2], 2)
    said = await ground.get(f"/v1/samples/{sample['id']}/batches/1/human_labels.json")
    assert (said["tiles"][0]["slide_id"], said["tiles"][0]["tile_name"]) == ("Tiny", "Tiny__MAG_1d00__X_0")
    assert [cell["cell_id"] for cell in said["tiles"][0]["labelled_cells"]] == [501, 502]
    again = await ground.http.post(f"/v1/samples/{sample['id']}/labels?annotator=Ada", json=said)
    assert (again.status_code, again.json()["labelled_count"]) == (201, 2), again.text
    theirs = await ground.get(f"/v1/samples/{sample['id']}/batches/1/cell_labels.json")
    exact = (await ground.http.post("/v1/samples", json={**wanted, "batches": [theirs]})).json()
    assert (exact["cell_count"], exact["left_out"]) == (sample["cell_count"], [])

    twin = {**tile, "x": tile["x"] + 1, "tile_name": "Tiny__MAG_1d00__X_1"}
    both = (await ground.http.post("/v1/samples", json={**wanted, "batches": [{"tiles": [tile, twin]}]})).json()
    assert (both["cell_count"], both["left_out"][0]["cell_count"]) == (sample["cell_count"], len(tile["cells"]) + 1)
    lost = tile["cells"][-1:]
    for words, changed in {
        "No slide is called 'Elsewhere'": {"batches": [{"tiles": [{**tile, "slide_id": "Elsewhere"}]}]},
        f"{tile['tile_name']!r} is there twice": {"batches": [{"tiles": [tile, {**tile, "x": 7}]}]},
        "has 2 cells with the cell_id 9": {"batches": [{"tiles": [{**tile, "cells": lost * 2}]}]},
        "No cell of these batches": {"batches": [{"tiles": [{**tile, "cells": lost}]}]},
        "batches leave nothing to choose": {"seed": 1},
        "magnification": {"batches": [{"tiles": [{**tile, "magnification": 0}]}]},
        "format": {"batches": [{**batch, "format": 2}]},
    }.items():
        problem = await ground.http.post("/v1/samples", json={**wanted, **changed})
        assert (problem.status_code in (400, 422), words in problem.text) == (True, True), problem.text


async def test_slides_give_tiles_in_turn(ground: Ground, tmp_path: Path) -> None:
    client = ground.world.client
    write_slide(tmp_path / "more.tiff", 1100, 500, seed=5)
    other = await client.upload(tmp_path / "more.tiff", name="More", stain="H&E")
    mine, first, again = (
        ground.world.job,
        await client.run(other["id"]),
        await client.run(other["id"], min_area_um2=30.0),
    )
    sample = await ground.sample(job_ids=[mine["id"], first["id"]], batch_count=4, cells_per_batch=1)
    assert [(one["name"], one["tile_count"]) for one in sample["slides"]] == [("Tiny", 2), ("More", 2)]
    turned = await ground.sample(job_ids=[first["id"], mine["id"]], batch_count=4, cells_per_batch=1)
    same = [(await ground.get(f"/v1/samples/{one['id']}/tiles"))["tiles"] for one in (sample, turned)]
    assert same[0] == same[1], "the order in which jobs are named changes nothing"
    assert len({(tile["slide_id"], tile["x_px"], tile["y_px"]) for tile in same[0]}) == 4
    both = {"job_ids": [first["id"], again["id"]]}
    assert (
        "found by two of these jobs"
        in check_problem(await ground.http.post("/v1/samples", json=both), 400, "INVALID_ARGUMENT")["detail"]
    )

    body = {"job_ids": [mine["id"], first["id"]]}
    cohort = await client.ended(client.ok(await ground.http.post("/v1/clusterings", json=body))["id"])
    for tile in same[0]:
        cells = list(range(1, tile["cell_count"] + 1))
        for number in (1, 2):
            await ground.label(sample, tile["number"], cells[number - 1 :: 2], number)
    truth = (await ground.http.post("/v1/truths", json={"sample_id": sample["id"]})).json()
    asked = {"truth_id": truth["id"], "clustering_id": cohort["clustering_id"], "draw_count": 100}
    job = client.ok(await ground.http.post("/v1/evaluations", json=asked))
    assert (await client.ended(job["id"]))["state"] == "succeeded"
    found = await ground.get(f"/v1/evaluations/{job['id']}")
    assert (found["match_rate"], [one["name"] for one in found["honest"]["slides"]]) == (1.0, ["Tiny", "More"])
    assert [one["n_tiles"] for one in found["paper"]["batches"]] == [1] * 4
    assert (await ground.http.delete(f"/v1/jobs/{cohort['id']}")).status_code == 204


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"job_ids": []}, 422, "name job_ids or clustering_ids"),
        ({"job_ids": ["none"]}, 404, "no job"),
        ({"batch_count": 100, "cells_per_batch": 2000}, 422, "at most 100000 cells"),
        ({"batch_count": 100, "cells_per_batch": 1}, 400, "100 batches need as many tiles"),
        ({"label_set_id": "none"}, 404, "no label set"),
    ],
)
async def test_what_cannot_be_sampled_is_refused(ground: Ground, body: dict[str, Any], status: int, words: str) -> None:
    wanted = {"job_ids": [ground.world.job["id"]], **body}
    answer = await ground.http.post("/v1/samples", json=wanted)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text


async def labelled_by_two(ground: Ground) -> tuple[dict[str, Any], int]:
    """A sample of which Ada and Bob said nearly the same and Ada flagged a cell, and the number of the last word."""
    sample = await ground.sample(cells_per_batch=200)
    for tile in (await ground.get(f"/v1/samples/{sample['id']}/tiles"))["tiles"]:
        for who, shift in (("Ada", 0), ("Bob", 1)):
            for number in (1, 2):
                cells = [n for n in range(1, tile["cell_count"] + 1) if (n + shift * (n % 5 == 0)) % 2 == number - 1]
                await ground.label(sample, tile["number"], cells, number, actor=who)
    flag = {"tile": 1, "cells": [1], "badly_segmented": True}
    return sample, (await ground.say(sample, "cells_flagged", flag, actor="Ada")).json()["seq"]


async def files_of(ground: Ground, sample: dict[str, Any]) -> tuple[httpx.Response, httpx.Response]:
    """What was found in the first batch, and what Ada said of it."""
    batch = f"/v1/samples/{sample['id']}/batches/1"
    return (
        await ground.http.get(f"{batch}/cell_labels.json"),
        await ground.http.get(f"{batch}/human_labels.json?annotator=Ada"),
    )


async def measured(ground: Ground, truth_id: str) -> dict[str, Any]:
    asked = {"truth_id": truth_id, "clustering_id": ground.world.job["clustering_id"], "draw_count": 100}
    job = ground.world.client.ok(await ground.http.post("/v1/evaluations", json=asked))
    assert (await ground.world.client.ended(job["id"]))["state"] == "succeeded"
    found: dict[str, Any] = await ground.get(f"/v1/evaluations/{job['id']}")
    return found


async def test_labels_are_a_truth_as_they_were(ground: Ground) -> None:
    unsaid = await ground.sample()
    nothing = await ground.http.post("/v1/truths", json={"sample_id": unsaid["id"]})
    check_problem(nothing, 400, "FAILED_PRECONDITION")
    sample, seq = await labelled_by_two(ground)
    brought = await ground.http.post("/v1/truths", json={"sample_id": sample["id"]})
    assert brought.status_code == 201, brought.text
    truth = brought.json()
    assert (truth["sample_id"], truth["sample_seq"]) == (sample["id"], seq)
    assert truth["row_count"] == 2 * sample["cell_count"]
    asked = {"truth_id": truth["id"], "clustering_id": ground.world.job["clustering_id"], "draw_count": 100}
    job = ground.world.client.ok(await ground.http.post("/v1/evaluations", json=asked))
    await ground.label(sample, 1, [1], None, actor="Ada")
    await ground.world.client.ended(job["id"])
    found = await ground.get(f"/v1/evaluations/{job['id']}")
    assert (found["state"], found["match_rate"], found["error"]) == ("succeeded", 1.0, None)
    assert sorted({one["batch"] for one in found["paper"]["tiles"]}) == ["batch_1", "batch_2"]
    assert len(found["paper"]["tiles"]) == sample["tile_count"]
    assert [one["n_cells"] for one in found["paper"]["batches"]] == [2 * one["cell_count"] for one in sample["batches"]]
    assert found["agreement"]["annotators"] == ["Ada", "Bob"]
    again = {"sample_id": sample["id"], "annotator": "Ada", "leave_out_badly_segmented": True}
    alone = (await ground.http.post("/v1/truths", json=again)).json()
    assert (alone["row_count"], alone["sample_seq"]) == (sample["cell_count"] - 1, seq + 1)


async def test_labels_come_out_as_published_files_and_are_a_truth_by_themselves(ground: Ground) -> None:
    sample, _ = await labelled_by_two(ground)
    blind, said = await files_of(ground, sample)
    assert re.search(r'filename="human_labels_\d{8}_\d{6}.json"', said.headers["content-disposition"])
    parsed = [published_files.parse(kind, answer.content, "a file") for kind, answer in
              ((published_files.CellLabels, blind), (published_files.HumanLabels, said))]  # fmt: skip
    names = [[(tile.slide_id, tile.tile_name) for tile in file.tiles] for file in parsed]
    assert names[0] == names[1]
    assert len(parsed[0].tiles[0].cells) == blind.json()["tiles"][0]["cells"][-1]["cell_id"]
    assert {cell.cluster_id for tile in parsed[0].tiles for cell in tile.cells} == {None}
    pages = described.described_columns()
    for name, answer in (("cell_labels.json", blind), ("human_labels.json", said)):
        known = pages[f"{name} of a sample"]
        assert described.of_json(answer.content, known) == known
    classes = sample["label_set"]["classes"]
    assert [one["name"] for one in said.json()["classes"]] == [one["name"] for one in classes]
    nowhere = await ground.http.get(f"/v1/samples/{sample['id']}/batches/9/cell_labels.json")
    check_problem(nowhere, 404, "NOT_FOUND")

    brought = await ground.http.post("/v1/truths", files={"file": ("human_labels_20260101_000000.json", said.content)})
    assert brought.status_code == 201, brought.text
    assert {one["name"] for one in brought.json()["classes"]} == {one["name"] for one in classes[:2]}
    assert (await measured(ground, brought.json()["id"]))["match_rate"] == 1.0


async def test_a_published_pair_of_files_is_a_truth_by_its_outlines(ground: Ground) -> None:
    sample, _ = await labelled_by_two(ground)
    # As the published app writes them: its labels know no cell, but the batch's file knows its outline.
    plain = [json.loads(file.content) for file in await files_of(ground, sample)]
    for tile in (tile for file in plain for tile in file["tiles"]):
        tile["slide_id"] = ground.world.slide["name"]
        for cell in tile.get("labelled_cells", []):
            del cell["uuid"]
    files = [
        ("file", (name, json.dumps(file))) for name, file in zip(("cell_labels.json", "a.json"), plain, strict=True)
    ]
    both = await ground.http.post("/v1/truths", files=files)
    assert (both.status_code, both.json()["kind"]) == (201, "shapes"), both.text
    again = await ground.http.post("/v1/truths", files=files[::-1])
    assert (again.status_code, again.json()["id"]) == (200, both.json()["id"])
    found = await measured(ground, both.json()["id"])
    assert (found["match_rate"], found["match"]["how"]["overlap"]) == (1.0, both.json()["row_count"])
    three = [("file", (str(number), "{}")) for number in range(3)]
    check_problem(await ground.http.post("/v1/truths", files=three), 400, "INVALID_ARGUMENT")


async def test_labels_of_a_file_come_in_as_one_word_or_not_at_all(ground: Ground) -> None:
    sample, other = await ground.sample(), await ground.sample()
    await ground.label(sample, 1, [1, 2], 1)
    await ground.say(sample, "cells_flagged", {"tile": 1, "cells": [3], "badly_segmented": True})
    batch = (await ground.get(f"/v1/samples/{sample['id']}/tiles/1"))["batch"]
    file = (await ground.http.get(f"/v1/samples/{sample['id']}/batches/{batch}/human_labels.json")).json()
    # The published app writes no names, and its numbers begin with 0.
    file["classes"] = [{"number": 1, "name": "Podocyte"}]
    file["tiles"][0]["labelled_cells"][1]["human_label"] = 0
    there = f"/v1/samples/{other['id']}/labels?annotator=Ada"
    for answer in await asyncio.gather(*(ground.http.post(f"{there}&event_id=a", json=file) for _ in range(6))):
        assert answer.status_code == 201, answer.text
        assert [answer.json()[name] for name in ("event_seq", "labelled_count", "flagged_count")] == [1, 2, 1]
    now = await ground.get(f"/v1/samples/{other['id']}")
    names = {one["number"]: one["name"] for one in now["label_set"]["classes"]}
    seen = await ground.get(f"/v1/samples/{other['id']}/tiles/1?annotator=Ada")
    assert [names.get(one["class_number"]) for one in seen["cells"][:3]] == ["Podocyte", "Label 0", None]
    assert [one["badly_segmented"] for one in seen["cells"][:3]] == [False, False, True]

    (tile,) = file["tiles"]
    first, *others = tile["labelled_cells"]
    wrong = {
        "no tile": {**tile, "tile_name": "Elsewhere"},
        "has no cell 99999 in this sample": {**tile, "labelled_cells": [{**first, "cell_id": 99999}]},
        "another one in the file": {**tile, "labelled_cells": [{**first, "uuid": "of another job"}, *others]},
        "says nothing of any cell": {**tile, "labelled_cells": [], "badly_segmented": []},
    }
    for words, changed in wrong.items():
        problem = check_problem(await ground.http.post(there, json={"tiles": [changed]}), 400, "INVALID_ARGUMENT")
        assert words in problem["detail"]
    for body in ({"version": 2, "annotations": []}, file | {"classes": file["classes"] * 2}):
        check_problem(await ground.http.post(there, json=body), 422, "INVALID_ARGUMENT")
    assert (await ground.get(f"/v1/samples/{other['id']}"))["seq"] == 1
    plain = {**tile, "labelled_cells": [{"cell_id": 1, "human_label": 1}]}
    unknown = await ground.http.post("/v1/truths", files={"file": ("a.json", json.dumps({"tiles": [plain]}).encode())})
    assert "send cell_labels.json of their batch with them" in check_problem(unknown, 400, "INVALID_ARGUMENT")["detail"]


async def test_a_tile_whose_outlines_are_gone_says_so_and_keeps_its_words(ground: Ground) -> None:
    sample = await ground.sample()
    await ground.label(sample, 1, [1], 1)
    (key,) = [key for key in ground.world.objects() if "/outlines/" in key and ground.world.slide["digest"] in key]
    path = ground.world.objects_folder / key
    content = path.read_bytes()
    for damage in (path.unlink, lambda: path.write_bytes(content[:100])):
        damage()
        problem = check_problem(await ground.http.get(f"/v1/samples/{sample['id']}/tiles/1"), 410, "GONE")
        assert "retry the job" in problem["detail"]
        path.write_bytes(content)
    assert (await ground.get(f"/v1/samples/{sample['id']}/tiles/1"))["cells"][0]["class_number"] == 1


async def test_a_job_stays_while_people_label_its_cells(ground: Ground) -> None:
    sample = await ground.sample(job_ids=[], clustering_ids=[ground.world.job["clustering_id"]])
    for path in (f"/v1/jobs/{ground.world.job['id']}", f"/v1/slides/{ground.world.slide['id']}"):
        problem = check_problem(await ground.http.delete(path), 409, "IN_USE")
        assert sample["id"] in problem["sample_ids"]
    for one in (await ground.get("/v1/samples"))["samples"]:
        assert (await ground.http.delete(f"/v1/samples/{one['id']}")).status_code == 204
    check_problem(await ground.http.get(f"/v1/samples/{sample['id']}"), 404, "NOT_FOUND")
