"""The tiles page as an annotator uses it: blind, by mouse and by keys, and nothing that was said is lost."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tifffile
from playwright.sync_api import Locator, Page, Route, expect

from tests.servers.jobs import classical
from tests.web.axe import found_by_axe
from tests.web.conftest import OpenPage

TILE = 512
SAYING = re.compile(r"/samples/[^/]+/events$")


@pytest.fixture
def sample(address: str, clustering: str) -> Iterator[str]:
    """Two tiles of the slide that was worked on already, in a batch each."""
    with httpx.Client(base_url=address, timeout=60) as client:
        job = client.get(f"/v1/clusterings/{clustering}").json()["slides"][0]["job_id"]
        wanted = {"job_ids": [job], "batch_count": 2, "cells_per_batch": 50}
        made = client.post("/v1/samples", json=wanted).raise_for_status().json()
        yield made["id"]
        assert client.delete(f"/v1/samples/{made['id']}").status_code in (204, 404)


@pytest.fixture
def tiles(open_page: OpenPage, sample: str) -> Page:
    """Its first tile."""
    page = open_page(f"/tiles/{sample}", refusals=(0, 404, 503))
    expect(page.get_by_role("heading", level=1)).to_have_text("Tile 1")
    return page


def test_a_tile_that_did_not_come_is_asked_for_again_and_a_sample_that_is_gone_says_so(
    open_page: OpenPage, tiles: Page, address: str, sample: str
) -> None:
    other = open_page("/samples", refusals=(404,))
    tiles.reload()
    tiles.route(re.compile(r"/tiles/2\?"), lambda route: route.fulfill(status=503, json={"title": "Away."}))
    expect(tiles.locator(".outline").first).to_be_visible()
    tiles.keyboard.press("ArrowRight")
    expect(tiles.get_by_role("alert")).to_contain_text("Away")
    tiles.unroute_all()
    tiles.get_by_role("button", name="Try again").click()
    expect(tiles.get_by_role("heading", level=1)).to_have_text("Tile 2")
    other.get_by_role("link", name="Label its tiles").first.click()
    expect(other.get_by_role("heading", level=1)).to_have_text(re.compile("Tile"))
    httpx.delete(f"{address}/v1/samples/{sample}", timeout=60).raise_for_status()
    expect(other.get_by_role("alert")).to_be_visible()
    other.get_by_role("button", name="All samples").click()
    expect(other).to_have_url(re.compile("#/samples$"))


def told(address: str, sample: str, number: int = 1, who: str = "local") -> dict[int, dict[str, Any]]:
    """A tile's cells as the gateway has them."""
    asked = httpx.get(f"{address}/v1/samples/{sample}/tiles/{number}", params={"annotator": who}, timeout=60)
    return {cell["number"]: cell for cell in asked.raise_for_status().json()["cells"]}


def classes(address: str, sample: str, number: int = 1, who: str = "local") -> dict[int, int]:
    cells = told(address, sample, number, who)
    return {name: cell["class_number"] for name, cell in cells.items() if cell["class_number"] is not None}


def saved(page: Page) -> None:
    expect(page.get_by_text("Saved", exact=True)).to_be_visible()


def outline(page: Page, cell: int) -> Locator:
    return page.locator(f".outline[data-cell='{cell}']")


def middle_of(page: Page, cell: int) -> tuple[float, float]:
    """Where the cell lies on the screen; its middle is inside of it, for cells here are round."""
    box = outline(page, cell).bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def lone_cells(page: Page) -> list[int]:
    """Cells that a click on their middle means."""
    return list(
        page.evaluate(
            """() => [...document.querySelectorAll(".outline")].filter((one) => {
              const box = one.getBoundingClientRect();
              const at = [box.x + box.width / 2, box.y + box.height / 2];
              return document.elementsFromPoint(...at).filter((other) => other.matches(".outline")).length === 1
                && document.elementFromPoint(...at) === one;
            }).map((one) => Number(one.dataset.cell))"""
        )
    )


def test_cells_are_painted_erased_flagged_and_undone(tiles: Page, address: str, sample: str) -> None:
    first, second, third, *_ = lone_cells(tiles)
    tiles.keyboard.press("2")
    tiles.mouse.click(*middle_of(tiles, first))
    expect(outline(tiles, first)).to_have_class(re.compile("labelled"))
    tiles.keyboard.press("1")
    tiles.mouse.move(*middle_of(tiles, second))
    tiles.mouse.down()
    tiles.mouse.move(*middle_of(tiles, third), steps=2)
    tiles.mouse.up()
    saved(tiles)
    said = classes(address, sample)
    assert said[second] == said[third] == 1
    before = len(said)

    tiles.mouse.click(*middle_of(tiles, third), button="right")
    expect(outline(tiles, third)).to_have_class(re.compile("unlabelled"))
    saved(tiles)
    assert third not in classes(address, sample)
    tiles.keyboard.press("u")
    expect(outline(tiles, third)).not_to_have_class(re.compile("unlabelled"))
    assert len(classes(address, sample)) == before

    tiles.keyboard.press("b")
    tiles.mouse.click(*middle_of(tiles, second))
    expect(outline(tiles, second)).to_have_class(re.compile("flagged"))
    saved(tiles)
    assert told(address, sample)[second]["badly_segmented"]

    tiles.keyboard.down("h")
    expect(tiles.locator("svg.tile")).to_have_class(re.compile("only-unlabelled"))
    tiles.keyboard.up("h")
    expect(tiles.locator("svg.tile")).not_to_have_class(re.compile("only-unlabelled"))
    assert found_by_axe(tiles) == []


def test_keys_alone_label_a_tile_for_an_annotator_of_ones_own(tiles: Page, address: str, sample: str) -> None:
    name = tiles.get_by_label("Your name, as labels have it")
    name.fill("Ada")
    name.press("Enter")
    expect(tiles.get_by_role("heading", level=1)).to_have_text("Tile 1")
    name.press("Escape")
    chosen = tiles.get_by_role("status", name="The selected cell")
    tiles.keyboard.press("n")
    expect(chosen).to_contain_text("no class")
    one = re.findall(r"Cell (\d+) of", chosen.text_content() or "")[0]
    tiles.keyboard.press("3")
    expect(chosen).not_to_contain_text(f"Cell {one} of")
    tiles.keyboard.press("ArrowUp")
    expect(chosen).to_have_text(re.compile(rf"Cell {one} of \d+: Stroma"))
    tiles.keyboard.press("b")
    expect(chosen).to_contain_text("badly segmented")
    tiles.keyboard.press("ArrowRight")
    expect(tiles.get_by_role("heading", level=1)).to_have_text("Tile 2")
    saved(tiles)
    assert classes(address, sample, who="Ada") == {int(one): 3}
    assert classes(address, sample) == {}
    with tiles.expect_download() as taken:
        tiles.get_by_role("link", name="Export batch 1").click()
    assert re.fullmatch(r"human_labels_.*\d{8}.*\.json", taken.value.suggested_filename)
    assert json.loads(taken.value.path().read_text(encoding="utf-8"))


def test_what_is_said_without_a_line_is_kept_over_a_reload_and_sent_once(
    tiles: Page, address: str, sample: str
) -> None:
    def refuse(route: Route) -> None:
        route.abort("connectionrefused")

    tiles.route(SAYING, refuse)
    tiles.keyboard.press("n")
    tiles.keyboard.press("1")
    tiles.keyboard.press("2")
    expect(tiles.locator(".notes")).to_contain_text("2 answers of yours are kept here")
    tiles.reload()
    expect(tiles.locator(".outline.labelled")).to_have_count(2)
    assert classes(address, sample) == {}
    tiles.unroute(SAYING, refuse)
    saved(tiles)
    assert sorted(classes(address, sample).values()) == [1, 2]
    events = httpx.get(f"{address}/v1/samples/{sample}/events", timeout=60).json()["events"]
    assert [event["kind"] for event in events] == ["cells_labelled"] * 2


@pytest.fixture(scope="module")
def forty(address: str, slide: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A finished job over forty tiles of one tissue, each of which the tile filter keeps."""
    pixels = tifffile.imread(slide, level=0)
    blocks = [pixels[y : y + TILE, x : x + TILE] for y in (0, TILE) for x in (0, TILE)]
    path = tmp_path_factory.mktemp("forty") / "forty.tiff"
    tissue = np.tile(min(blocks, key=lambda block: float(block.mean())), (5, 8, 1))
    options = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}  # 0.5 um per px
    tifffile.imwrite(path, tissue, tile=(256, 256), photometric="rgb", compression="jpeg", **options)
    with httpx.Client(base_url=address, timeout=60) as client:
        made = client.post("/v1/slides", files={"file": (path.name, path.read_bytes())}).raise_for_status().json()
        job = client.post("/v1/jobs", json=classical(made["id"])).raise_for_status().json()
        client.get(f"/v1/jobs/{job['id']}/events", headers={"Last-Event-ID": "0"}, timeout=300).raise_for_status()
        ended = client.get(f"/v1/jobs/{job['id']}").raise_for_status().json()
    assert ended["kept_tile_count"] == 40, ended["error"]
    return str(job["id"])


def test_forty_tiles_are_labelled_blind_measured_and_read(
    open_page: OpenPage, address: str, forty: str, tmp_path: Path
) -> None:
    page = open_page(f"/samples?job={forty}")
    asked: list[str] = []
    form = page.get_by_role("dialog", name="Sample tiles to label")
    form.get_by_label("Name").fill("Forty")
    form.get_by_label("Batches").fill("2")
    form.get_by_label("Cells in each").fill("50000")
    page.on("request", lambda request: asked.append(request.url))
    form.get_by_role("button", name="Sample").click()
    for number in range(1, 41):
        expect(page.get_by_role("heading", name=f"Tile {number}", exact=True)).to_be_visible()
        page.keyboard.press("n")
        page.keyboard.press("1")
        page.keyboard.press("2")
        page.keyboard.press("Escape")
        page.mouse.click(*middle_of(page, lone_cells(page)[-1]))
        page.keyboard.press("ArrowRight")
    saved(page)
    assert found_by_axe(page) == []
    assert not [url for url in asked if re.search("clustering|labelling|layers|evaluation", url)], (
        "it is labelled blind"
    )
    sample = page.url.rsplit("/", 1)[1]
    told_of = httpx.get(f"{address}/v1/samples/{sample}", timeout=60).raise_for_status().json()
    done = sum(batch["labelled_count"] for batch in told_of["batches"])
    assert 80 <= done <= 120

    page.get_by_role("button", name="Make a truth of it and evaluate…").click()
    page.get_by_role("dialog", name="Measure against a truth").get_by_role("button", name="Measure").click()
    expect(page.get_by_role("heading", name="What these clusters are worth")).to_be_visible()
    found = httpx.get(f"{address}/v1/evaluations/{page.url.rsplit('/', 1)[1]}", timeout=60).raise_for_status().json()
    assert (found["match_rate"], found["match"]["truth_count"], found["paper"]["n_tiles"]) == (1, done, 40)
    row = page.get_by_role("row", name=re.compile("^macro-F1 clusters named"))
    expect(row).to_contain_text("{value:.3f}".format(**found["honest"]["macro_f1"]))
    expect(row).to_contain_text("{value:.3f}".format(**found["honest"]["baselines"]["constant"]["macro_f1"]))
    batches = page.get_by_role("region", name="Table: By batches, as published")
    expect(batches.get_by_role("row")).to_have_count(3)
    with page.expect_download() as taken:
        page.get_by_role("link", name="Download the report").click()
    kept = tmp_path / "report.html"
    taken.value.save_as(kept)
    page.goto(kept.as_uri())
    expect(page.get_by_role("heading", level=1)).to_have_text("What these clusters are worth")
    assert found_by_axe(page) == []
