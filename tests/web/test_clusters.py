"""Clusters on the board: what is not typical of one is shown, and one that is split shows its parts at once."""

from __future__ import annotations

import re

import httpx
from playwright.sync_api import expect

from tests.web.board import heading, page_number, settled, state
from tests.web.conftest import OpenPage


def test_a_split_cluster_shows_its_parts_with_all_that_was_said(
    open_page: OpenPage, address: str, clustering: str
) -> None:
    made = httpx.post(f"{address}/v1/labellings", json={"clustering_id": clustering}, timeout=60)
    labelling = str(made.raise_for_status().json()["id"])
    httpx.put(f"{address}/v1/labellings/{labelling}/cut", json={"cluster_count": 3}, timeout=60).raise_for_status()
    board = open_page(f"/board/{labelling}")
    page_number(board)
    board.keyboard.press("s")
    expect(board.locator(".notes")).to_contain_text("no cluster alone")
    board.keyboard.press("1")
    expect(heading(board)).to_have_text("Page 2")
    settled(board)

    divide = board.get_by_role("button", name=re.compile(r"Split cluster \d+ into two")).first
    node = int(re.findall(r"\d+", divide.get_attribute("aria-label") or "")[0])
    divide.click()
    expect(board.locator(".notes")).to_contain_text(re.compile(rf"Cluster {node} was split into \d+ and \d+"))
    settled(board)
    parts = [int(one) for one in re.findall(r"(\d+) and (\d+)", board.locator(".notes").text_content() or "")[0]]
    led_to = board.url.rsplit("/", 1)[1]
    assert led_to != labelling
    expect(board.locator(".focus")).to_contain_text(f"cluster {parts[0]}")
    cards = board.locator(".card", has=board.get_by_role("button", name=re.compile("^Split"))).locator("header b")
    expect(cards).to_have_count(4)
    assert {int(one.removeprefix("↳ ")) for one in cards.all_text_contents()[:2]} == set(parts)
    before, after = state(address, labelling), state(address, led_to)
    assert (after["marks"], after["page_count"], after["cluster_count"]) == (before["marks"], 1, 4)

    # By its key, of the cluster whose page is shown; then back to what was split.
    board.keyboard.press("s")
    expect(board.locator(".notes")).to_contain_text(f"Cluster {parts[0]} was split")
    expect(cards).to_have_count(5)
    board.go_back()
    expect(cards).to_have_count(4)


def test_the_rest_is_grouped_anew_and_named_clusters_stay(open_page: OpenPage, address: str, clustering: str) -> None:
    made = httpx.post(f"{address}/v1/labellings", json={"clustering_id": clustering}, timeout=60)
    labelling = str(made.raise_for_status().json()["id"])
    httpx.put(f"{address}/v1/labellings/{labelling}/cut", json={"cluster_count": 4}, timeout=60).raise_for_status()
    named = httpx.get(f"{address}/v1/clusterings/{clustering}/clusters?count=4", timeout=60).json()["clusters"][0]
    said = {"kind": "cluster_named", "body": {"node_id": named["node_id"], "class_number": 1}}
    httpx.post(f"{address}/v1/labellings/{labelling}/events", json=said, timeout=60).raise_for_status()
    board = open_page(f"/board/{labelling}")
    page_number(board)

    board.keyboard.press("r")
    question = board.get_by_role("dialog", name="Group the rest anew?")
    expect(question).to_contain_text(f"Cluster {named['node_id']} stays")
    board.keyboard.press("Escape")
    expect(question).to_have_count(0)
    board.get_by_role("button", name="Group the rest anew").click()
    question.get_by_label("Into").select_option("2")
    question.get_by_role("button", name="Group anew").click()
    expect(board.locator(".notes")).to_contain_text("The rest was grouped anew, into 2 clusters")
    settled(board)
    led_to = board.url.rsplit("/", 1)[1]
    assert led_to != labelling
    after = state(address, led_to)
    told = httpx.get(f"{address}/v1/clusterings/{after['clustering_id']}", timeout=60).json()["regrouping"]
    assert told["locked_ids"] == [named["node_id"]]
    expect(board.locator(".focus")).to_contain_text(f"cluster {told['cluster_ids'][0]}")
    cards = board.locator(".card", has=board.get_by_role("button", name=re.compile("^Split"))).locator("header b")
    expect(cards).to_have_text([*(f"↳ {node}" for node in told["cluster_ids"]), str(named["node_id"])])
    assert [one["node_id"] for one in after["cluster_names"] if one["explicit"]] == [named["node_id"]]


def test_an_opened_cluster_shows_what_is_not_typical_of_it(open_page: OpenPage, labelling: str) -> None:
    board = open_page(f"/board/{labelling}")
    page_number(board)
    board.get_by_role("button", name=re.compile("A page of cluster")).first.click()
    settled(board)
    border = board.get_by_role("region", name="At its border").get_by_role("button")
    expect(border).to_have_count(6)
    expect(border.first).to_have_accessible_name(re.compile(r"nearest to cluster \d+"))
    expect(board.get_by_role("region", name="Outlying").get_by_role("button")).to_have_count(6)
    board.get_by_role("button", name=re.compile("in no cluster")).click()
    settled(board)
    expect(board.locator(".focus")).to_contain_text("cells in no cluster")
    expect(board.get_by_role("list", name="Cells of this page")).to_contain_text(re.compile(r"nearest to cluster \d+"))
    board.get_by_role("button", name=re.compile("A page of cluster")).first.click()
    settled(board)
    border.first.click()
    expect(board).to_have_url(re.compile(r"#/slide/.*row=\d+"))


def test_what_a_model_suggests_stands_beside_its_cluster_until_it_has_a_name(
    open_page: OpenPage, address: str, clustering: str
) -> None:
    made = httpx.post(f"{address}/v1/labellings", json={"clustering_id": clustering}, timeout=60).raise_for_status()
    labelling, classes = made.json()["id"], made.json()["label_set"]["classes"]
    httpx.put(f"{address}/v1/labellings/{labelling}/cut", json={"cluster_count": 3}, timeout=60).raise_for_status()
    cut = httpx.get(f"{address}/v1/labellings/{labelling}/cut", timeout=60).raise_for_status().json()
    node, named = cut["node_of_leaf"][0], next(one for one in classes if one["key"] == "2")
    spent = {"call_count": 3, "token_count": 300, "rows": [1], "morula": "0.1.0"}
    origin = {"model": "seer", "endpoint": "http://127.0.0.1/v1", "prompt_sha256": "0" * 64, **spent}
    votes = [{"class_number": named["number"], "reason": "Small and round."}, {"class_number": None}]
    said = {"class_number": named["number"], "votes": votes, "origin": origin}
    where = f"{address}/v1/labellings/{labelling}/suggestions/{node}"
    httpx.put(where, json=said, timeout=60).raise_for_status()

    board = open_page(f"/board/{labelling}")
    page_number(board)
    suggested = board.locator(".card .suggested")
    expect(suggested).to_have_text(f"{named['name']}? suggested")
    expect(suggested).to_have_attribute("title", re.compile(r"seer suggests .* \(1 of 2 answers\)\. Small and round\."))
    assert state(address, labelling)["seq"] == 0
    body = {"kind": "cluster_named", "actor": "Ada", "body": {"node_id": node, "class_number": named["number"]}}
    httpx.post(f"{address}/v1/labellings/{labelling}/events", json=body, timeout=60).raise_for_status()
    expect(suggested).to_have_count(0)
