"""A real `morula serve` and a real browser for the tests of the page."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import tifffile
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from morula.common.models import FAMILIES
from morula.common.weights import WeightsFolder
from morula.onebox.folder import DataFolder
from morula.synth import make_slide
from tests.servers.jobs import classical
from tests.servers.processes import ServerProcess
from tests.servers.require import free_ports, program, require

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "gateway" / "morula" / "gateway" / "static" / "index.html"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)

OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a screen. It ends with its file: no asyncio test runs beside it."""
    chromium = program("chromium")
    require(chromium, "Chromium", "apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic slide with a few hundred cells."""
    return make_slide(tmp_path_factory.mktemp("slides") / "small.tiff", 1024, 1024, 3).slide


@pytest.fixture(scope="session")
def slide_without_scale(slide: Path) -> Path:
    """The same tissue in a file that does not say how large a pixel is."""
    path = slide.with_name("unscaled.tiff")
    tifffile.imwrite(
        path, tifffile.imread(slide, level=0)[:512, :512], tile=(256, 256), photometric="rgb", compression="jpeg"
    )
    return path


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a `morula serve` on an empty folder, for commercial use; one of its models forbids that."""
    require(PAGE.is_file(), "the built page", "make web")
    folder = tmp_path_factory.mktemp("serve")
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "morula.cli", "serve", "--port", str(port), "--data", str(folder / "data")]
    forbidden = next(row for row in FAMILIES if row.description.commercial == "no")
    weights = DataFolder(folder / "data").weights
    WeightsFolder(weights).add(forbidden, [("network", ROOT / "tests" / "oracles" / "unet_narrow.onnx")])
    environment = os.environ | {"MORULA_PROFILE": "commercial"}
    server = ServerProcess([*command, "--no-open"], folder / "output", env=environment)
    try:
        server.wait_until(lambda: answers(f"{url}/readyz"))
        yield url
    finally:
        server.stop(timeout_s=60)


@pytest.fixture(scope="session")
def clustering(address: str, slide: Path) -> str:
    """Clustering of a slide that was worked on already."""
    with httpx.Client(base_url=address, timeout=60) as client:
        answer = client.post("/v1/slides", files={"file": (slide.name, slide.read_bytes())}).raise_for_status()
        job = client.post("/v1/jobs", json=classical(answer.json()["id"])).raise_for_status().json()
        # The stream ends with the job.
        client.get(f"/v1/jobs/{job['id']}/events", headers={"Last-Event-ID": "0"}, timeout=300).raise_for_status()
        ended = client.get(f"/v1/jobs/{job['id']}").raise_for_status().json()
    assert ended["verdict"] == "cells", ended["error"]
    return str(ended["clustering_id"])


@pytest.fixture(scope="module")
def labelling(address: str, clustering: str) -> str:
    """An empty labelling of that slide."""
    answer = httpx.post(f"{address}/v1/labellings", json={"clustering_id": clustering}, timeout=60)
    return str(answer.raise_for_status().json()["id"])


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def open_page(browser: Browser, address: str) -> Iterator[OpenPage]:
    """Opens the page at a route; whatever its console complains about fails the test.

    `refusals` are statuses that the test provokes: a browser reports each refused request as an error of its own,
    0 for one that finds no way.
    """
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    complaints: list[str] = []

    def opened(route: str = "/", refusals: tuple[int, ...] = ()) -> Page:
        def note(message: ConsoleMessage) -> None:
            provoked = [f"with a status of {status}" if status else "net::ERR_" for status in refusals]
            if message.type == "error" and not any(words in message.text for words in provoked):
                complaints.append(f"{message.text} {message.location.get('url', '')}")

        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{address}/#{route}")
        return page

    yield opened
    context.close()
    assert not complaints
