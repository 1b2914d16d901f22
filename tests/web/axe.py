"""What axe finds on a page: nothing, or the test says which rule, where and why."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.servers.require import require
from tests.web.conftest import ROOT

SCRIPT = ROOT / "gateway" / "web" / "node_modules" / "axe-core" / "axe.min.js"
# Colours that are on their way to others are no colours that anybody reads.
RUN = """
Promise.allSettled(document.getAnimations().filter((one) => one instanceof CSSTransition).map((one) => one.finished))
  .then(() => axe.run(document, {resultTypes: ['violations']})).then((found) => found.violations)
"""


def found_by_axe(page: Page) -> list[str]:
    """One line for each thing that somebody could not see, reach or hear; the page may allow no scripts but its own.

    In a sandbox nothing goes on, and axe would be waited for without end: what is shown in one is opened from a file.
    """
    require(SCRIPT.is_file(), "axe-core", "make web")
    session = page.context.new_cdp_session(page)
    session.send("Page.enable")
    world = session.send(
        "Page.createIsolatedWorld",
        {"frameId": session.send("Page.getFrameTree")["frameTree"]["frame"]["id"], "worldName": "axe"},
    )["executionContextId"]
    told = {"contextId": world, "awaitPromise": True, "returnByValue": True}
    session.send("Runtime.evaluate", {"expression": SCRIPT.read_text(encoding="utf-8") + ";0", **told})
    answer = session.send(
        "Runtime.evaluate",
        {"expression": RUN, **told},
    )
    session.detach()
    assert "exceptionDetails" not in answer, answer["exceptionDetails"]
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in answer["result"]["value"]
        for node in one["nodes"]
    ]
