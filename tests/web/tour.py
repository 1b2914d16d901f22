"""The pictures of the guide: `scripts/screenshots` takes them of a painted slide and puts them into docs/images."""

from __future__ import annotations

import io
import re
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page, expect, sync_playwright
from rich.console import Console
from scipy.spatial import KDTree

from morula.demo.flow import demonstrate, last_state, run_slide
from morula.demo.slide import demo_slide
from morula.demo.truth import Truth
from morula.onebox.client import Client
from morula.onebox.folder import DataFolder
from morula.onebox.machine import free_port, open_machine
from tests.servers.require import program
from tests.web.board import cell_of, page_number
from tests.web.conftest import FLAGS, PATIENCE_MS, ROOT

IMAGES = ROOT / "docs" / "images"
WINDOW = {"width": 1280, "height": 860}
PAGE_COUNT = 8
QUALITY = 70
REACH_PX = 12


def tour(page: Page, address: str, labelling: str, sample: str, evaluation: str) -> Iterator[tuple[str, bytes]]:
    """Walks through the screens of a labelling of which some pages were named, of a sample and of an evaluation.

    Name and PNG of each picture.
    """
    page.goto(f"{address}/#/")
    expect(page.get_by_role("list", name="Slides").get_by_role("listitem").first).to_be_visible()
    yield "slides", _still(page)

    page.goto(f"{address}/#/board/{labelling}")
    page_number(page)
    yield "board", _still(page)
    yield "numbers", _still(page, page.get_by_role("complementary", name="Panel"))

    cell_of(page, "C").click()
    page.get_by_role("button", name=re.compile("^3 .*, for cell C$")).click()
    cell_of(page, "F").click()
    yield "marks", _still(page, page.locator(".focus"))
    page.keyboard.press("f")
    page.keyboard.press("Escape")

    page.get_by_role("button", name="Name of cluster").first.click()
    yield "clusters", _still(page, page.locator(".clusters"))
    page.keyboard.press("Escape")

    page.keyboard.press("v")
    expect(page.get_by_role("status", name="The selected cell")).to_be_visible()
    for _ in range(3):
        page.keyboard.press("-")
    yield "slide", _still(page)

    page.goto(f"{address}/#/tiles/{sample}")
    expect(page.locator(".outline").first).to_be_visible()
    page.keyboard.press("n")
    yield "tiles", _still(page)

    page.goto(f"{address}/#/evaluation/{evaluation}")
    expect(page.get_by_role("heading", level=1)).to_have_text("What these clusters are worth")
    yield "evaluation", _still(page)
    overlay = page.locator(".tile-sides")
    overlay.scroll_into_view_if_needed()
    expect(overlay.locator(".cell-outline").first).to_be_visible()
    yield "overlay", _still(page, overlay)


def sampled(client: Client, job_id: str, class_of: Callable[[float, float], str | None], **wanted: object) -> str:
    """A sample of a job's tiles, whose cells got the classes that lie at their middles (level-0 px)."""
    made = client.post("/v1/samples", {"job_ids": [job_id], **wanted})
    numbers = {one["name"]: one["number"] for one in made["label_set"]["classes"]}
    for number in range(1, made["tile_count"] + 1):
        tile = client.get(f"/v1/samples/{made['id']}/tiles/{number}")
        picture, cells = tile["picture"], defaultdict(list)
        scale = tile["width_px"] / (picture["width_px"] - 2 * picture["margin_px"])
        for cell in tile["cells"]:
            x, y = np.mean(cell["outline"], axis=0) - picture["margin_px"]
            name = class_of(tile["x_px"] + x * scale, tile["y_px"] + y * scale)
            if name is not None:
                cells[name].append(cell["number"])
        for name, of in cells.items():
            body = {"tile": number, "cells": of, "class_number": numbers[name]}
            client.post(f"/v1/samples/{made['id']}/events", {"kind": "cells_labelled", "body": body})
    return str(made["id"])


def evaluated(client: Client, sample: str, clustering: str, draw_count: int) -> str:
    """Clusters measured against the labels of a sample."""
    truth = client.post("/v1/truths", {"sample_id": sample})
    wanted = {"clustering_id": clustering, "truth_id": truth["id"], "draw_count": draw_count}
    job = client.post("/v1/evaluations", wanted)
    last_state(client.watch(job["id"]))
    return str(job["id"])


def _still(page: Page, part: Locator | None = None) -> bytes:
    """What is seen once nothing is loading or moving any more."""
    page.wait_for_load_state("networkidle")
    before = b""
    for _ in range(60):
        now = (part or page).screenshot(timeout=PATIENCE_MS * 5)
        if now == before:
            return now
        before = now
        page.wait_for_timeout(200)
    raise AssertionError("the page never came to rest")


def main() -> None:
    """Paints the demonstration's slide, labels pages of it as its annotator would, and takes the pictures."""
    console = Console()
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        truth = demo_slide(folder, console)
        with open_machine(DataFolder(folder / "data"), "demo", port=free_port(None), notify=console.print) as machine:
            with machine.client() as client:
                job = run_slide(client, truth.slide)
                label_set = _painted(client, truth.cells)
                wanted = {"clustering_id": job["clustering_id"], "label_set_id": label_set}
                labelling = str(client.post("/v1/labellings", wanted)["id"])
                demonstrate(client, {**job, "labelling_id": labelling}, truth.cells, PAGE_COUNT)
                sample = sampled(client, job["id"], _known(truth.cells), label_set_id=label_set, name="Painted tissue")
                evaluation = evaluated(client, sample, job["clustering_id"], 1000)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=program("chromium"), args=FLAGS)
                page = browser.new_page(viewport=WINDOW)
                page.set_default_timeout(PATIENCE_MS)
                for name, png in tour(page, machine.url, labelling, sample, evaluation):
                    path = IMAGES / f"{name}.webp"
                    Image.open(io.BytesIO(png)).convert("RGB").save(path, quality=QUALITY, method=6)
                    console.print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB")
                browser.close()


def _painted(client: Client, cells: Path) -> str:
    """A label set with the classes that the painted tissue has, and no others."""
    names = sorted(set(Truth.read(cells).names.tolist()))
    made = client.post("/v1/label-sets", {"name": "Painted", "classes": [{"name": name} for name in names]})
    return str(made["id"])


def _known(cells: Path) -> Callable[[float, float], str | None]:
    """What was painted nearest to a place; nobody knows what is farther away than a nucleus is wide."""
    truth = Truth.read(cells)
    tree = KDTree(truth.points)

    def name(x: float, y: float) -> str | None:
        away, number = tree.query((x, y))
        return str(truth.names[number]) if away <= REACH_PX else None

    return name


if __name__ == "__main__":
    main()
