"""The board as the tests see it: what is on it, and what the gateway tells of it."""

from __future__ import annotations

import re
from typing import Any

import httpx
from playwright.sync_api import Locator, Page, expect


def state(address: str, labelling: str) -> dict[str, Any]:
    """The labelling as the gateway tells it."""
    answer: dict[str, Any] = httpx.get(f"{address}/v1/labellings/{labelling}", timeout=60).raise_for_status().json()
    return answer


def events(address: str, labelling: str) -> list[dict[str, Any]]:
    """What was said, oldest first."""
    answer = httpx.get(f"{address}/v1/labellings/{labelling}/events", timeout=60).raise_for_status()
    return list(answer.json()["events"])


def heading(page: Page) -> Locator:
    return page.get_by_role("heading", level=1)


def page_number(page: Page) -> int:
    expect(heading(page)).to_have_text(re.compile(r"Page \d+"))
    settled(page)
    return int((heading(page).text_content() or "").removeprefix("Page "))


def cell_of(page: Page, letter: str) -> Locator:
    """A cell of the page in focus."""
    return page.get_by_role("list", name="Cells of this page").get_by_role("button", name=f"Cell {letter}:")


def settled(page: Page) -> None:
    """Until everything said is stored and the next page is there."""
    expect(page.locator(".focus")).to_have_attribute("aria-busy", "false")
