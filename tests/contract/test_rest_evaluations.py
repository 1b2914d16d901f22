"""Truths and evaluations over REST, on a laptop's ground and on a cluster's."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from morula.common.testing import write_slide
from tests.contract import test_rest_samples as samples
from tests.contract.evaluated import Evaluated, evaluated, table
from tests.contract.rest_world import caught_up, check_problem, name_page
from tests.servers.gateway import place_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ground(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Evaluated]:
    async with evaluated(tmp_path_factory.mktemp("evaluations")) as made:
        yield made


async def test_a_cluster_measures_and_deletes_as_a_laptop_does(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    async with evaluated(tmp_path, *place_of("PostgreSQL and S3", request)) as ground:
        await test_clusters_are_measured_against_a_table(ground)
        await test_labels_are_measured_as_they_were(ground)
        sampled = samples.Ground(ground.world, ground.cells)
        await samples.test_tiles_are_labelled_blind(sampled)
        await samples.test_the_same_event_is_kept_once_however_often_it_is_sent(sampled)
        await samples.test_labels_of_a_file_come_in_as_one_word_or_not_at_all(sampled)
        await samples.test_a_job_stays_while_people_label_its_cells(sampled)
        await test_a_truth_goes_after_its_evaluations_and_these_with_their_clustering(ground)
        answer = await ground.http.delete(f"/v1/jobs/{ground.world.job['id']}")
        assert answer.status_code == 204, answer.text
        assert (await ground.http.get("/v1/evaluations")).json()["evaluations"] == []


async def test_clusters_are_measured_against_a_table(ground: Evaluated) -> None:
    truth = await ground.bring(table([{"row": one["row"], "class": ground.kind(one)} for one in ground.cells]))
    assert (truth["kind"], truth["row_count"], truth["name"]) == ("cells", len(ground.cells), "truth.csv")
    assert [one["name"] for one in truth["classes"]] == ["left", "right"]
    again = await ground.bring(table([{"row": one["row"], "class": ground.kind(one)} for one in ground.cells]))
    assert again["id"] == truth["id"]

    found = await ground.evaluate(truth)
    assert (found["state"], found["error"], found["match_rate"]) == ("succeeded", None, 1.0)
    assert 0 <= found["paper"]["accuracy"] <= 100
    assert {"value", "low", "high", "n"} <= found["honest"]["accuracy"].keys()
    assert {"constant", "random"} <= found["honest"]["baselines"].keys()

    body = {"truth_id": truth["id"], "clustering_id": found["clustering_id"], "draw_count": 100}
    same = await ground.http.post("/v1/evaluations", json=body)
    assert (same.status_code, same.json()["id"]) == (200, found["id"])
    listed = (await ground.http.get(f"/v1/evaluations?clustering_id={found['clustering_id']}")).json()["evaluations"]
    assert found["id"] in [one["id"] for one in listed]


async def test_one_evaluation_minus_another_is_told_where_both_are_against_one_truth(ground: Evaluated) -> None:
    truth = await ground.bring(table([{"row": one["row"], "class": f"{one['x_px'] // 400}"} for one in ground.cells]))
    one, two = [await ground.evaluate(truth, cluster_count=count) for count in (2, 5)]
    asked = await ground.http.get(f"/v1/evaluations/{one['id']}/differences?against={two['id']}")
    told = ground.world.client.ok(asked)
    assert (told["cell_count"], told["left_out_count"], told["cluster_counts"]) == (len(ground.cells), 0, [2, 5])
    assert told["paper"] == [each["paper"]["accuracy"] for each in (one, two)]
    for name, number in told["difference"].items():
        first, second = (each["honest"][name]["value"] for each in (one, two))
        assert number["value"] == pytest.approx(first - second, abs=2e-6), name
        assert number["low"] <= number["value"] <= number["high"], name
    rows = [{"row": one["row"], "class": f"{one['y_px'] // 400}"} for one in ground.cells]
    other = await ground.evaluate(await ground.bring(table(rows)))
    refused = await ground.http.get(f"/v1/evaluations/{one['id']}/differences?against={other['id']}")
    assert "against different truths" in check_problem(refused, 400, "FAILED_PRECONDITION")["detail"]


async def test_the_report_can_do_no_harm(ground: Evaluated) -> None:
    hostile = "<script>alert(1)</script>"
    rows = [{"row": one["row"], "class": hostile if one["row"] % 2 else "right"} for one in ground.cells]
    found = await ground.evaluate(await ground.bring(table(rows)))
    report = await ground.http.get(f"/v1/evaluations/{found['id']}/report.html")
    assert (report.status_code, report.headers["content-type"]) == (200, "text/html; charset=utf-8")
    rules = report.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "sandbox"} <= set(rules)
    assert not any(rule.startswith("script-src") for rule in rules)
    assert "<script" not in report.text
    numbers = await ground.http.get(f"/v1/evaluations/{found['id']}/evaluation.json")
    assert numbers.json()["honest"] == found["honest"]


async def test_points_and_shapes_find_their_cells(ground: Evaluated) -> None:
    rows = [{"x": one["x_px"] + 1, "y": one["y_px"], "class": ground.kind(one)} for one in ground.cells]
    points = await ground.bring(table([*rows, {"x": 90_000, "y": 5, "class": "left"}]), "points.csv")
    found = await ground.evaluate(points)
    assert points["kind"] == "points"
    assert found["match"]["foreign"] == {"count": 1, "first": ["x 90000, y 5"]}
    assert found["match_rate"] == pytest.approx(len(rows) / (len(rows) + 1), abs=0.02)

    both = await ground.bring(table([{**row, "annotator": who} for row in rows for who in "ab"]), "both.csv")
    found = await ground.evaluate(both)
    assert found["match"]["doubled"]["count"] == found["honest"]["accuracy"]["n"]
    assert found["agreement"]["cohen"] is not None

    ring = [[0, 0], [550, 0], [550, 800], [0, 800], [0, 0]]
    outlines = [[*one["outline"], one["outline"][0]] for one in ground.cells if one["x_px"] > 560][:20]
    features = [feature("annotation", "left", ring), *(feature("detection", "right", one) for one in outlines)]
    shapes = await ground.bring(json.dumps({"type": "FeatureCollection", "features": features}).encode(), "a.geojson")
    found = await ground.evaluate(shapes)
    left = sum(one["x_px"] <= 550 for one in ground.cells)
    assert found["match"]["how"] == {"outline": 0, "overlap": len(outlines), "centroid": 0, "region": left}
    assert found["match_rate"] == 1.0

    file = io.BytesIO()
    np.savez_compressed(file, classes=np.repeat([[1, 2]], 80, axis=0), names=["left", "right"], scale=550.0)
    found = await ground.evaluate(await ground.bring(file.getvalue(), "pixels.npz"))
    assert (found["match"]["how"]["region"], found["match_rate"]) == (len(ground.cells), 1.0)
    counts = found["honest"]["confusion"]
    counted = [sum(row) + none for row, none in zip(counts["matrix"], counts["none"], strict=True)]
    assert counted == [left, len(ground.cells) - left]


def feature(kind: str, name: str, ring: list[list[float]]) -> dict[str, Any]:
    properties = {"objectType": kind, "classification": {"name": name}}
    return {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": properties}


async def test_labels_are_measured_as_they_were(ground: Evaluated) -> None:
    labelling = await ground.world.labelling()
    truth = await ground.bring(table([{"row": one["row"], "class": ground.kind(one)} for one in ground.cells]))
    body = {"truth_id": truth["id"], "labelling_id": labelling.rpartition("/")[2], "draw_count": 100}
    check_problem(await ground.http.post("/v1/evaluations", json=body), 400, "FAILED_PRECONDITION")
    for number in (1, 2):
        await name_page(ground.world, labelling, number)
    state = await caught_up(ground.world, labelling)
    asked = await ground.http.post("/v1/evaluations", json=body)
    assert asked.status_code == 202, asked.text
    await name_page(ground.world, labelling, 1)
    await ground.world.client.ended(asked.json()["id"])
    found = (await ground.http.get(asked.headers["location"])).json()
    assert (found["state"], found["labelling_seq"]) == ("succeeded", state["seq"])
    assert found["named"] is None, "no class is called left or right"

    classes = state["label_set"]["classes"]
    rows = [{"row": one["row"], "class": classes[one["row"] % 2]["name"].upper()} for one in ground.cells]
    renamed = await ground.bring(table(rows))
    found = await ground.evaluate(renamed, clustering_id=None, labelling_id=body["labelling_id"])
    assert found["named"]["classes"][classes[0]["name"]] == classes[0]["name"].upper()
    assert {"value", "low", "high", "n"} <= found["named"]["accuracy"].keys()
    assert "by their names" in found["remarks"][0]
    report = (await ground.http.get(f"/v1/evaluations/{found['id']}/report.html")).text
    assert "What these labels are worth" in report
    assert "these clusters" not in report


async def test_a_truth_that_is_here_already_is_named(ground: Evaluated) -> None:
    folder = ground.world.client.components.settings.folders["here"]
    (folder / "t.csv").write_bytes(table([{"row": one["row"], "class": f"{one['row'] % 5}"} for one in ground.cells]))
    before = ground.world.objects()
    by_path = await ground.http.post("/v1/truths", json={"path": "here/t.csv"})
    found = by_path.json()
    assert (by_path.status_code, found["name"], found["row_count"]) == (201, "t.csv", len(ground.cells))
    (key,) = ground.world.objects() - before
    by_key = await ground.http.post("/v1/truths", json={"key": key, "name": "Again"})
    assert (by_key.status_code, by_key.json()["id"]) == (200, found["id"])
    check_problem(await ground.http.post("/v1/truths", json={"path": "here/../../etc/hosts"}), 400, "INVALID_ARGUMENT")
    check_problem(
        await ground.http.post("/v1/truths", json={"path": "here/t.csv", "key": key}), 400, "INVALID_ARGUMENT"
    )
    check_problem(await ground.http.post("/v1/truths", json={"key": f"{key}x"}), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b" ", "the truth is empty"),
        (b"\x00\xff\xfe garbage", "the truth"),
        (b"row,class\n1", "the truth"),
        (b"cell,class\n1,a\n", "needs the columns"),
        (b"x,y,class\nnan,1,a\n", "is no place on a slide"),
        (b"x,y,class\nhere,1,a\n", "is no number"),
        (b"row,class\n1,\n", "gives no class to anything"),
        (b"[" * 100_000, "is no JSON"),
        (b'{"type": "Feature", "geometry": null, "properties": {"classification": "a"}}', "feature 1"),
        (b'[{"geometry": {"type": "Point", "coordinates": [NaN, 1]}}]', "NaN where a number belongs"),
        (b'{"type": "Topology"}', "is no GeoJSON"),
    ],
)
async def test_what_is_no_truth_is_refused_in_words(ground: Evaluated, content: bytes, words: str) -> None:
    before = ground.world.objects()
    answer = await ground.http.post("/v1/truths", files={"file": ("truth.csv", content)})
    problem = check_problem(answer, 400, "INVALID_ARGUMENT")
    assert words in problem["detail"]
    assert ground.world.objects() == before


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"row": n, "class": "ab"[n], "slide": "Elsewhere"} for n in range(2)], "not on the slide 'Elsewhere'"),
        ([{"row": 10**9, "class": "a"}, {"row": 10**9 + 1, "class": "b"}], "truth of another slide"),
        ([{"row": 0, "class": "a"}, {"row": 1, "class": "a"}], "of one class"),
    ],
)
async def test_what_cannot_be_measured_fails_in_words(
    ground: Evaluated, rows: Sequence[dict[str, object]], words: str
) -> None:
    found = await ground.evaluate(await ground.bring(table(rows)))
    assert (found["state"], found["honest"]) == ("failed", None)
    assert words in found["error"]["detail"]
    report = await ground.http.get(f"/v1/evaluations/{found['id']}/report.html")
    check_problem(report, 404, "NOT_FOUND")


async def test_a_truth_goes_after_its_evaluations_and_these_with_their_clustering(ground: Evaluated) -> None:
    truth = await ground.bring(table([{"row": one["row"], "class": f"{one['row'] % 3}"} for one in ground.cells]))
    found = await ground.evaluate(truth)
    check_problem(await ground.http.delete(f"/v1/truths/{truth['id']}"), 409, "IN_USE")
    assert (await ground.http.delete(f"/v1/jobs/{found['id']}")).status_code == 204
    assert (await ground.http.delete(f"/v1/truths/{truth['id']}")).status_code == 204
    for path in (f"/v1/truths/{truth['id']}", f"/v1/evaluations/{found['id']}"):
        check_problem(await ground.http.get(path), 404, "NOT_FOUND")


async def test_places_on_several_slides_say_which_one(ground: Evaluated, tmp_path: Path) -> None:
    client = ground.world.client
    write_slide(tmp_path / "more.tiff", 700, 700, seed=5)
    other = await client.upload(tmp_path / "more.tiff", name="More", stain="H&E", tissue="colon")
    job = await client.run(other["id"])
    body = {"job_ids": [ground.world.job["id"], job["id"]]}
    cohort = await client.ended(client.ok(await ground.http.post("/v1/clusterings", json=body))["id"])
    found = await ground.http.get(f"/v1/clusterings/{job['clustering_id']}/cells?bbox=0,0,700,700&limit=20000")
    cells = [("Tiny", one) for one in ground.cells] + [(other["id"], one) for one in found.json()["cells"]]
    rows = [{"x": one["x_px"], "y": one["y_px"], "class": ground.kind(one), "slide": slide} for slide, one in cells]

    unsaid = await ground.bring(table([{name: row[name] for name in ("x", "y", "class")} for row in rows]))
    failed = await ground.evaluate(unsaid, clustering_id=cohort["clustering_id"])
    assert (failed["state"], failed["error"]["reason"]) == ("failed", "INVALID_ARGUMENT")
    assert "which one" in failed["error"]["detail"]

    truth = await ground.bring(table([*rows, {"x": 100, "y": 100, "class": "left", "slide": "Elsewhere"}]))
    found = await ground.evaluate(truth, clustering_id=cohort["clustering_id"])
    assert found["state"] == "succeeded", found["error"]
    assert (found["match"]["foreign"]["count"], found["match"]["missing"]["count"]) == (1, 0)
    assert found["honest"]["interval"]["over"] == "slides"
    assert [one["name"] for one in found["honest"]["slides"]] == ["Tiny", "More"]
