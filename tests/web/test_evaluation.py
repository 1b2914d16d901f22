"""What a synthetic slide really holds is brought on the page, measured, read, compared and taken away."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import httpx
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Page, expect

from tests.web.axe import found_by_axe
from tests.web.conftest import OpenPage


@pytest.fixture(scope="module")
def truth(slide: Path) -> bytes:
    """A CSV of what was painted, by place."""
    table = pq.read_table(slide.with_suffix(".truth.parquet"), columns=["x_px", "y_px", "class"])
    content = io.BytesIO()
    csv.write_csv(table.rename_columns(["x", "y", "class"]), content)
    return content.getvalue()


def measure(page: Page, clusters: str, truth: bytes) -> str:
    """Starts an evaluation from the page; its id once its numbers are there."""
    page.get_by_role("button", name="Measure against a truth…").first.click()
    form = page.get_by_role("dialog", name="Measure against a truth")
    form.get_by_label("What to measure").select_option(clusters)
    form.get_by_label("File of the truth").set_input_files(
        [{"name": "truth.csv", "mimeType": "text/csv", "buffer": truth}]
    )
    form.get_by_role("button", name="Measure").click()
    expect(page.get_by_role("heading", name="What these clusters are worth")).to_be_visible()
    return page.url.rsplit("/", 1)[1]


def test_clusters_are_measured_and_read_tile_by_tile(
    open_page: OpenPage, address: str, clustering: str, truth: bytes
) -> None:
    page = open_page(f"/evaluations?clustering={clustering}", refusals=(400,))
    form = page.get_by_role("dialog", name="Measure against a truth")
    expect(form.get_by_label("What to measure")).to_have_value(f"clusters {clustering}")
    form.get_by_label("File of the truth").set_input_files(
        [{"name": "wrong.csv", "mimeType": "text/csv", "buffer": b"x,y\n1,2\n"}]
    )
    form.get_by_role("button", name="Measure").click()
    expect(form.get_by_role("alert")).to_contain_text("class")
    form.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()

    one = measure(page, f"clusters {clustering}", truth)
    found = httpx.get(f"{address}/v1/evaluations/{one}", timeout=60).raise_for_status().json()
    honest, constant = found["honest"], found["honest"]["baselines"]["constant"]
    first = page.locator("main section").first
    expect(first).to_have_accessible_name("Honest numbers, beside what costs nothing")
    row = page.get_by_role("row", name=re.compile("^macro-F1 clusters named"))
    expect(row.get_by_role("cell").nth(1)).to_have_text(
        "{value:.3f}{low:.3f} to {high:.3f}".format(**honest["macro_f1"])
    )
    expect(row.get_by_role("cell").nth(2)).to_contain_text(f"{constant['macro_f1']['value']:.3f}")
    published = page.get_by_role("region", name="As published", exact=True)
    expect(published).to_contain_text(f"{found['paper']['accuracy']:.4f}")
    expect(published).to_contain_text("It does not say what labels are worth.")

    lowest = min(found["paper"]["tiles"], key=lambda tile: tile["accuracy"])
    tiles = page.get_by_role("region", name="Tile by tile, the lowest first", exact=True)
    expect(tiles).to_contain_text(f"Accuracy {lowest['accuracy']:.4f} of {lowest['n_cells']}")
    whole = httpx.get(f"{address}/v1/evaluations/{one}/evaluation.json", timeout=60).raise_for_status().json()
    told = whole["paper"]["tiles"][found["paper"]["tiles"].index(lowest)]["cells"]
    wrong = {
        (row, human)
        for row, human, aligned in zip(told["row"], told["human"], told["aligned"], strict=True)
        if human != aligned
    }
    expect(tiles.locator(".cell-outline.wrong")).to_have_count(len(wrong))
    tiles.get_by_role("button", name="Next wrong cell").click()
    expect(tiles).to_contain_text(re.compile(r"Cell [\d,]+: human \w+, aligned "))
    assert "cells" not in lowest
    assert found_by_axe(page) == []


def test_the_report_is_taken_away_and_two_evaluations_are_compared(
    open_page: OpenPage, address: str, clustering: str, truth: bytes
) -> None:
    page = open_page("/evaluations")
    one = measure(page, f"clusters {clustering}", truth)
    found = httpx.get(f"{address}/v1/evaluations/{one}", timeout=60).raise_for_status().json()
    honest = found["honest"]
    with page.expect_download() as taken:
        page.get_by_role("link", name="Data", exact=True).click()
    assert json.loads(taken.value.path().read_text(encoding="utf-8"))["honest"] == honest
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Report", exact=True).click()
    report = opened.value
    expect(report.get_by_role("heading", level=1)).to_have_text("What these clusters are worth")
    expect(report.get_by_role("heading", level=1)).to_have_css("font-size", "25.6px")
    assert report.evaluate("self.origin") == "null", "a sandboxed page is of no site"
    report.close()

    page.bring_to_front()
    wanted = {"clustering_id": clustering, "truth_id": found["truth_id"], "cluster_count": 3}
    two = httpx.post(f"{address}/v1/evaluations", json=wanted, timeout=60).raise_for_status().json()["id"]
    apart = httpx.post(f"{address}/v1/evaluations", json={**wanted, "seed": 1}, timeout=60).raise_for_status().json()
    page.keyboard.press("e")
    boxes = page.get_by_role("checkbox", name="of small.tiff against truth.csv", disabled=False)
    expect(boxes).to_have_count(3)
    for box in boxes.all()[1:]:
        box.check()
    assert found_by_axe(page) == []
    page.keyboard.press("c")
    expect(page.get_by_role("heading", level=1)).to_have_text("2 evaluations side by side")
    assert {one, two} <= set(re.split("[/,]", page.url))
    page.get_by_label("Which number").select_option("accuracy")
    lead = page.get_by_role("region", name="accuracy", exact=True)
    expect(lead.get_by_role("link", name=f"small.tiff: {found['cluster_count']} clusters")).to_be_visible()
    expect(lead).to_contain_text(f"{honest['accuracy']['value']:.3f}")
    minus = page.get_by_role("region", name=re.compile("minus each of the others"))
    row = minus.get_by_role("row", name=re.compile("^accuracy")).first
    expect(row).to_contain_text(re.compile("better|worse|not told"))
    expect(minus).to_contain_text(f"cells of both{honest['accuracy']['n']:,}")
    assert found_by_axe(page) == []

    # What is measured otherwise, or against another truth, is not taken from it.
    page = open_page(f"/compare/{one},{apart['id']}")
    expect(page.get_by_role("heading", level=1)).to_have_text("2 evaluations side by side")
    expect(page.locator("main .caveat")).to_have_text(re.compile("measured in different ways"))
    expect(page.get_by_role("region", name=re.compile("minus each of the others"))).to_have_count(0)
    page.get_by_role("link", name="Slides").click()
    page.get_by_role("link", name="clusters, ").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("What these clusters are worth")


def test_what_cannot_be_measured_says_why_and_is_tried_again_or_deleted(
    open_page: OpenPage, address: str, clustering: str
) -> None:
    with httpx.Client(base_url=address, timeout=60) as client:
        files = {"file": ("elsewhere.csv", b"x,y,class\n-9000,-9000,a\n-9100,-9000,b\n")}
        truth = client.post("/v1/truths", files=files).raise_for_status().json()
        asked = client.post("/v1/evaluations", json={"clustering_id": clustering, "truth_id": truth["id"]})
    page = open_page(f"/evaluation/{asked.raise_for_status().json()['id']}", refusals=(404,))
    expect(page.get_by_role("heading", level=1)).to_have_text("It could not be measured")
    expect(page.get_by_role("alert")).to_contain_text("matched")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("Measuring|It could not be measured"))
    expect(page.get_by_role("heading", level=1)).to_have_text("It could not be measured")
    assert found_by_axe(page) == []
    page.get_by_role("button", name="Delete the evaluation…").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete it").click()
    expect(page).to_have_url(re.compile("#/evaluations$"))
