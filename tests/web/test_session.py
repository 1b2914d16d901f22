"""A server that asks for a key: the page asks for it, and works with the cookie that it gets."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from morula.gateway.api_keys import new_key
from tests.servers.processes import ServerProcess
from tests.servers.require import free_ports, require
from tests.web.axe import found_by_axe
from tests.web.conftest import PAGE, answers

KEY = new_key()


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[str]:
    """Address of a gateway that asks for keys; no service answers behind it."""
    require(PAGE.is_file(), "the built page", "make web")
    (port,) = free_ports(1)
    settings = {
        "MORULA_PORT": str(port),
        "MORULA_REQUIRE_KEYS": "true",
        "MORULA_FIRST_KEY": KEY,
        "MORULA_DATABASE_URL": f"sqlite:///{tmp_path}/morula.sqlite",
        "MORULA_STORE_URL": (tmp_path / "objects").as_uri(),
        "MORULA_SCRATCH": str(tmp_path),
    }
    server = ServerProcess([sys.executable, "-m", "morula.gateway"], tmp_path / "output", env=os.environ | settings)
    url = f"http://127.0.0.1:{port}"
    try:
        server.wait_until(lambda: answers(f"{url}/readyz"))
        yield url
    finally:
        server.stop(timeout_s=30)


def test_a_browser_signs_in_works_and_is_out_when_its_key_is_revoked(browser: Browser, closed: str) -> None:
    page = browser.new_context().new_page()
    page.goto(closed)
    expect(page.get_by_role("heading")).to_have_text("This server asks for a key")
    assert found_by_axe(page) == []
    page.get_by_label("Key").fill(new_key())
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("This key is not known here.")
    page.get_by_label("Key").fill(KEY)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("Slide file")).to_be_attached()

    # No script reads the key, and this page changes things by it, as its stream of events is opened by it.
    assert page.evaluate("document.cookie + JSON.stringify({...localStorage})").count("morula_") == 0
    asked = """async ([path, method, body]) => (await fetch(path, {method, body: body && JSON.stringify(body),
        headers: body ? {"Content-Type": "application/json"} : {}})).status"""
    assert page.evaluate(asked, ["v1/label-sets", "POST", {"name": "Mine"}]) == 201
    heard = "path => new Promise((done) => { new EventSource(path).onopen = () => done(true); })"
    assert page.evaluate(heard, "v1/events")

    admin = {"authorization": f"Bearer {KEY}"}
    (key,) = httpx.get(f"{closed}/v1/keys", headers=admin).raise_for_status().json()["keys"]
    httpx.delete(f"{closed}/v1/keys/{key['id']}", headers=admin).raise_for_status()
    page.reload()
    expect(page.get_by_role("heading")).to_have_text("This server asks for a key")
    page.context.close()
