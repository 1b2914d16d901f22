"""`morula suggest` as a person calls it, with an endpoint on this machine: suggestions beside clusters, no label."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from morula.common.errors import NotFound
from morula.onebox.client import Client, Json
from morula.onebox.machine import LocalMachine
from tests.e2e.test_run import run
from tests.fixtures.published_run import write_run
from tests.servers.vision import Answer, completion, named, vision_endpoint


@pytest.fixture(scope="module")
def labelling(machine: LocalMachine, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = write_run(
        tmp_path_factory.mktemp("named") / "run", name="04 Mouse Pancreas", places=((0, 0), (1, 0))
    ).folder
    ended = run("import", folder, "--slide-mpp", 0.5, "--data", machine.folder.root, "--json")
    assert ended.returncode == 0, ended.stderr
    return str(json.loads(ended.stdout)["slides"][0]["labelling_id"])


def suggest(machine: LocalMachine, labelling: str, url: str, *words: object) -> Json:
    asked = ("suggest", labelling, "--base-url", url, "--model", "seer", "--tissue", "pancreas", "--json")
    ended = run(*asked, *words, "--data", machine.folder.root)
    assert ended.returncode == 0, ended.stderr
    told: Json = json.loads(ended.stdout)
    return told


def test_clusters_get_suggestions_that_change_no_label(machine: LocalMachine, client: Client, labelling: str) -> None:
    before = client.get(f"/v1/labellings/{labelling}")
    assert client.get(f"/v1/labellings/{labelling}/suggestions") == {"suggestions": []}
    answers = [
        *(named("Duct"), named("Duct"), named("Acinar")),
        *(named("Duct"), named("Acinar"), named("none of these")),
        *(completion("Duct, I think"), named("a fish"), completion(None, refusal="No.")),
    ]
    with vision_endpoint(answers.__getitem__) as endpoint:
        told = suggest(machine, labelling, endpoint.url)
    counts = {name: told[name] for name in ("cluster_count", "suggested_count", "abstained_count", "call_count")}
    assert counts == {"cluster_count": 3, "suggested_count": 1, "abstained_count": 2, "call_count": 9}
    text, *pictures = endpoint.asked[0]["messages"][1]["content"]
    assert len(pictures) == 2
    assert "pancreas" in text["text"]
    enum = endpoint.asked[0]["response_format"]["json_schema"]["schema"]["properties"]["cell_class"]["enum"]
    assert {"Acinar", "Duct", "none of these"} <= set(enum)

    numbers = {one["name"]: one["number"] for one in before["label_set"]["classes"]}
    found = client.get(f"/v1/labellings/{labelling}/suggestions")["suggestions"]
    first = next(one for one in found if one["class_number"] is not None)
    assert first["class_number"] == numbers["Duct"]
    assert [vote["class_number"] for vote in first["votes"]] == [numbers["Duct"], numbers["Duct"], numbers["Acinar"]]
    assert first["origin"]["answered_by"] == "seer-1"
    assert (first["origin"]["call_count"], first["origin"]["token_count"]) == (3, 300)
    assert {one["votes"][0]["reason"] for one in found} == {
        "Large, round and dark.",
        "the answer is no JSON of the schema",
    }
    after = client.get(f"/v1/labellings/{labelling}")
    assert {name: after[name] for name in ("seq", "class_counts", "cluster_names")} == {
        name: before[name] for name in ("seq", "class_counts", "cluster_names")
    }


def test_a_budget_that_ends_says_what_was_left_out(machine: LocalMachine, labelling: str) -> None:
    with vision_endpoint(lambda _: named("Duct")) as endpoint:
        told = suggest(machine, labelling, endpoint.url, "--max-calls", 4)
        assert len(endpoint.asked) == 4
    assert (told["suggested_count"], told["left_out_count"], told["why_ended"]) == (1, 2, "4 calls were made")


def test_wrong_use_is_told(machine: LocalMachine, client: Client, labelling: str, tmp_path: Path) -> None:
    with vision_endpoint(lambda _: Answer(b"no such model", 404)) as endpoint:
        words = ("suggest", labelling, "--base-url", endpoint.url, "--model", "seer", "--data", machine.folder.root)
        ended = run(*words)
        assert (ended.returncode, "answered 404: no such model" in ended.stderr) == (1, True)
        assert run(*words, "--key-env", "NO_SUCH_KEY").returncode == 2
        assert len(endpoint.asked) == 1
    origin = {"model": "m", "endpoint": "e", "prompt_sha256": "0" * 64, "rows": [], "call_count": 0, "token_count": 0}
    body = {"class_number": None, "votes": [{"class_number": None}], "origin": {**origin, "morula": "1"}}
    with pytest.raises(NotFound, match="no cluster"):
        client.put(f"/v1/labellings/{labelling}/suggestions/99999", body)
    with pytest.raises(NotFound, match="no class"):
        client.put(f"/v1/labellings/{labelling}/suggestions/1", {**body, "class_number": 200})
