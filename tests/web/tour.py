"""The pictures of the guide: `scripts/screenshots` takes them of a painted slide and puts them into docs/images."""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator, Page, expect, sync_playwright
from rich.console import Console

from morula.demo.flow import demonstrate, run_slide
from morula.demo.slide import demo_slide
from morula.demo.truth import Truth
from morula.onebox.client import Client, Json
from morula.onebox.folder import DataFolder
from morula.onebox.machine import free_port, open_machine
from tests.servers.require import program
from tests.web.board import cell_of, page_number
from tests.web.conftest import FLAGS, PATIENCE_MS, ROOT

IMAGES = ROOT / "docs" / "images"
WINDOW = {"width": 1280, "height": 860}
PAGE_COUNT = 8
QUALITY = 70


def tour(page: Page, address: str, labelling: str) -> Iterator[tuple[str, bytes]]:
    """Walks through the screens of a labelling of which some pages were named; name and PNG of each picture."""
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
                labelling = _labelling(client, job, truth.cells)
                demonstrate(client, {**job, "labelling_id": labelling}, truth.cells, PAGE_COUNT)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=program("chromium"), args=FLAGS)
                page = browser.new_page(viewport=WINDOW)
                page.set_default_timeout(PATIENCE_MS)
                for name, png in tour(page, machine.url, labelling):
                    path = IMAGES / f"{name}.webp"
                    Image.open(io.BytesIO(png)).convert("RGB").save(path, quality=QUALITY, method=6)
                    console.print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB")
                browser.close()


def _labelling(client: Client, job: Json, cells: Path) -> str:
    """A labelling with the classes that the painted tissue has, and no others."""
    names = sorted(set(Truth.read(cells).names.tolist()))
    label_set = client.post("/v1/label-sets", {"name": "Painted", "classes": [{"name": name} for name in names]})
    wanted = {"clustering_id": job["clustering_id"], "label_set_id": label_set["id"]}
    return str(client.post("/v1/labellings", wanted)["id"])


if __name__ == "__main__":
    main()
