"""The page as a person uses it: upload, watch, label a page, mark an odd cell, undo, look at the slide."""

from __future__ import annotations

import io
import re
from pathlib import Path

import httpx
import numpy as np
import numpy.typing as npt
from PIL import Image
from playwright.sync_api import Page, Route, expect

from morula.synth import make_slide
from tests.servers.jobs import classical
from tests.web.board import cell_of, events, heading, page_number, settled, state
from tests.web.conftest import PATIENCE_MS, OpenPage


def test_a_slide_goes_in_and_its_board_opens(open_page: OpenPage, tmp_path: Path) -> None:
    slide = make_slide(tmp_path / "new.tiff", 512, 512, 4).slide
    page = open_page("/")
    page.get_by_label("Slide file").set_input_files(slide)
    row = page.get_by_role("list", name="Slides").get_by_role("listitem").filter(has_text=slide.name)
    expect(row.locator(".chip")).to_have_text("ready", timeout=3 * PATIENCE_MS)
    expect(row).to_contain_text(re.compile(r"\d cells · \d+ tiles? of tissue"))
    row.get_by_role("link", name="Open the board").click()
    expect(heading(page)).to_have_text(re.compile(r"Page \d+"))
    expect(page.get_by_text("For research and education. Not for diagnosis.")).to_be_visible()


def test_a_page_is_named_an_odd_cell_marked_and_both_undone(open_page: OpenPage, address: str, labelling: str) -> None:
    page = open_page(f"/board/{labelling}")
    first = page_number(page)
    shown = httpx.get(f"{address}/v1/labellings/{labelling}/page").raise_for_status().json()
    assert shown["cluster_count"] > 1
    expect(page.get_by_role("region", name=f"Page {first}")).to_contain_text(
        f"of {shown['place']['cell_count']:,} cells in {shown['cluster_count']} clusters · the largest not yet shown"
    )
    before = state(address, labelling)
    odd = cell_of(page, "B")

    page.keyboard.press("b")
    expect(odd).to_have_attribute("aria-pressed", "true")
    expect(odd).to_have_accessible_name("Cell B: odd")
    odd_row = int(odd.get_attribute("data-row") or "-1")
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    expect(heading(page)).to_have_text(f"Page {first + 1}")
    settled(page)

    said = events(address, labelling)[-1]
    assert said["kind"] == "page_named"
    assert said["body"]["class_number"] == 1
    classes = {cell["row"]: cell["class_number"] for cell in said["body"]["cells"]}
    assert classes.pop(odd_row) == 0
    assert set(classes.values()) == {1}
    assert state(address, labelling)["page_count"] == before["page_count"] + 1

    page.keyboard.press("u")
    expect(heading(page)).to_have_text(f"Page {first}")
    expect(odd).to_have_accessible_name("Cell B: odd")
    assert events(address, labelling)[-1]["kind"] == "undone"
    assert state(address, labelling)["page_count"] == before["page_count"]
    assert state(address, labelling)["marks"] == before["marks"]


def test_the_model_labels_the_next_page_and_enter_accepts_it(open_page: OpenPage, address: str, labelling: str) -> None:
    page = open_page(f"/board/{labelling}")
    number = page_number(page)
    for key in ("1", "2", "1", "2"):
        page.keyboard.press(key)
        number += 1
        expect(heading(page)).to_have_text(f"Page {number}")
        settled(page)
    assert state(address, labelling)["version"] > 0

    cell = cell_of(page, "A")
    cell.click()
    expect(cell).to_have_accessible_name("Cell A: odd")
    page.get_by_role("button", name="Stroma, for cell A").click()
    expect(cell).to_have_accessible_name("Cell A: Stroma")
    page.keyboard.press("Enter")
    expect(heading(page)).to_have_text(f"Page {number + 1}")
    settled(page)
    body = events(address, labelling)[-1]["body"]
    assert body["cells"][0]["class_number"] == 3
    assert body["cells"][1]["class_number"] == body["cells"][1]["shown_class_number"]
    assert body["version"] > 0


def test_a_cluster_is_named_whole_and_a_class_added(open_page: OpenPage, address: str, labelling: str) -> None:
    page = open_page(f"/board/{labelling}")
    page.get_by_role("button", name=re.compile("Name of cluster")).first.click()
    page.get_by_role("menuitem", name="Tumour").click()
    expect(page.get_by_role("button", name="undo with U")).to_be_visible()
    settled(page)
    said = events(address, labelling)[-1]
    assert (said["kind"], said["body"]["class_number"]) == ("cluster_named", 1)

    page.get_by_role("button", name="Edit").click()
    page.get_by_role("textbox", name="Name of a new class").fill("Mitosis <b>")
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Name of class Mitosis <b>")).to_be_visible()
    assert "Mitosis <b>" in {one["name"] for one in state(address, labelling)["label_set"]["classes"]}


def test_a_cell_is_corrected_on_the_slide(open_page: OpenPage, address: str, labelling: str) -> None:
    page = open_page(f"/board/{labelling}")
    page_number(page)
    page.keyboard.press("v")
    chosen = page.get_by_role("status", name="The selected cell")
    expect(chosen).to_be_visible()
    row = int((chosen.get_by_role("heading").text_content() or "").removeprefix("Cell ").replace(",", ""))
    page.keyboard.press("3")
    expect(chosen).to_contain_text("said by a person")
    expect(page.get_by_text("Saved", exact=True)).to_be_visible()
    assert [row, 3] in state(address, labelling)["marks"]
    page.keyboard.press("Control+z")
    expect(chosen).not_to_contain_text("said by a person")
    expect(page.get_by_text("Saved", exact=True)).to_be_visible()
    assert [row, 3] not in state(address, labelling)["marks"]


def still_picture(page: Page) -> npt.NDArray[np.int16]:
    """The canvas once nothing arrives any more: two pictures in a row are the same."""
    canvas, before = page.locator(".canvas"), b""
    for _ in range(60):
        now = canvas.screenshot()
        if now == before:
            return np.asarray(Image.open(io.BytesIO(now)).convert("RGB"), np.int16)
        before = now
    raise AssertionError("the slide never came to rest")


def test_the_slide_draws_its_cells_and_hides_a_class_that_is_switched_off(open_page: OpenPage, labelling: str) -> None:
    page = open_page(f"/slide/{labelling}")
    toggles = page.get_by_role("region", name="Shown").get_by_role("button")
    with page.expect_response(re.compile(r"/blocks/0\?")) as block:
        expect(toggles.last).to_contain_text("No class")
        page.keyboard.press("+")
        page.keyboard.press("+")
    assert block.value.ok
    expect(page.get_by_role("img", name=re.compile("Scale"))).to_contain_text("µm")
    with_cells = still_picture(page)
    for toggle in toggles.all():
        toggle.click()
        expect(toggle).to_have_attribute("aria-pressed", "false")
    bare = still_picture(page)
    drawn = (np.abs(with_cells - bare).max(axis=2) > 40).mean()
    assert 0.005 < drawn < 0.3


def test_cells_are_found_otherwise_by_what_may_be_used_and_the_card_says_how(
    open_page: OpenPage, address: str, clustering: str, slide: Path
) -> None:
    page = open_page("/", refusals=(400,))
    row = page.get_by_role("list", name="Slides").get_by_role("listitem").filter(has_text=slide.name)
    row.get_by_role("button", name=f"More for {slide.name}").click()
    page.get_by_role("menuitem", name="Find its cells otherwise").click()
    form = page.get_by_role("dialog", name=f"Find the cells of {slide.name}")
    refused = form.locator("label").filter(has_text="cellpose-sam")
    expect(refused.get_by_role("radio")).to_be_disabled()
    expect(refused).to_contain_text("refused by the profile 'commercial'")
    allowed = form.locator("label").filter(has_text="watershed")
    expect(allowed).to_contain_text(re.compile(r"Apache-2.0.*[\d.]+ s per mm² here, over \d+ part"))
    allowed.get_by_role("radio").check()
    form.get_by_text("Segmentation", exact=True).click()
    expect(form.get_by_label("Flow error")).to_have_count(0)
    diameter = form.get_by_label("Diameter of a cell")
    expect(diameter).to_have_attribute("placeholder", "8")
    diameter.fill("900")
    form.get_by_role("button", name="Find its cells").click()
    expect(form.get_by_role("alert")).to_contain_text("it lies in 2.5 to 128")
    diameter.fill("7")
    form.get_by_role("button", name="Find its cells").click()
    expect(form).to_have_count(0)
    made = row.locator("details")
    made.locator("summary").click()
    expect(made).to_contain_text("Asked for: diameter of a cell 7 µm")
    expect(made).to_contain_text("Trained on nothing")
    expect(row.locator(".chip")).to_have_text("ready", timeout=3 * PATIENCE_MS)
    [newest, *_] = httpx.get(f"{address}/v1/jobs").raise_for_status().json()["jobs"]
    assert (newest["params"]["segmenter"], newest["params"]["diameter_um"]) == ("watershed", 7)


def test_a_run_whose_model_is_gone_is_asked_for_anew_where_and_as_it_was(
    open_page: OpenPage, address: str, clustering: str, slide: Path
) -> None:
    corner = {"type": "Polygon", "coordinates": [[[0, 0], [1000, 0], [1000, 1000], [0, 1000], [0, 0]]]}
    with httpx.Client(base_url=address, timeout=60) as client:
        page = open_page("/")
        row = page.get_by_role("list", name="Slides").get_by_role("listitem").filter(has_text=slide.name)
        row.get_by_role("button", name=f"More for {slide.name}").click()
        page.get_by_role("menuitem", name="Find its cells otherwise").click()
        form = page.get_by_role("dialog", name=f"Find the cells of {slide.name}")
        # Of an ordinary run nothing is worth a word.
        expect(form.get_by_label("As in the last run")).to_have_count(0)

        slide_id = client.get(f"/v1/clusterings/{clustering}").raise_for_status().json()["slides"][0]["slide_id"]
        asked = classical(slide_id, slide_mpp=0.3, include=corner, sample_tile_count=2, min_area_um2=11)
        job = client.post("/v1/jobs", json=asked).raise_for_status().json()
        client.get(f"/v1/jobs/{job['id']}/events", headers={"Last-Event-ID": "0"}, timeout=300).raise_for_status()

        page.route("**/v1/jobs?*", lambda route: _without_its_model(route, job["id"]))
        page.reload()
        row.get_by_role("button", name="Start anew").click()
        kept = form.get_by_label("As in the last run")
        expect(kept).to_be_checked()
        expect(form).to_contain_text("slide at 0.3 µm per px · only in its regions · a sample of 2 tiles")
        expect(form.get_by_label("Smallest cell")).to_have_value("11")
        form.get_by_label("Smallest cell").fill("12")
        form.get_by_role("button", name="Find its cells").click()
        expect(form).to_have_count(0)
        newest = client.get("/v1/jobs").raise_for_status().json()["jobs"][0]
    assert newest["id"] != job["id"]
    assert newest["params"] == job["params"] | {"min_area_um2": 12}


def _without_its_model(route: Route, job_id: str) -> None:
    """Jobs as they are after the model of one went away: no model can be taken from a worker while it serves."""
    answer = route.fetch()
    jobs = answer.json()
    error = {"title": "A model is not here", "status": 409, "reason": "MODEL_UNAVAILABLE"}
    jobs["jobs"] = [one | ({"state": "failed", "error": error} if one["id"] == job_id else {}) for one in jobs["jobs"]]
    route.fulfill(response=answer, json=jobs)


def test_a_file_that_is_no_slide_is_refused_in_words(open_page: OpenPage, address: str, tmp_path: Path) -> None:
    page = open_page("/", refusals=(400,))
    broken = tmp_path / "broken.tiff"
    broken.write_bytes(b"II*\x00" + bytes(64))
    page.get_by_label("Slide file").set_input_files(broken)
    refusal = page.get_by_role("alert", name="Upload of broken.tiff")
    expect(refusal).to_contain_text("not taken")
    refusal.get_by_role("button", name="Dismiss").click()
    expect(refusal).to_have_count(0)
    names = {slide["name"] for slide in httpx.get(f"{address}/v1/slides").json()["slides"]}
    assert broken.name not in names


def test_a_dropped_folder_becomes_a_slide_for_each_and_each_tells_its_own_end(
    open_page: OpenPage, address: str, slide: Path, tmp_path: Path
) -> None:
    # What the page asks of the copy while it is being deleted is not there.
    page = open_page("/", refusals=(400, 404))
    expect(page.get_by_role("button", name="Drop slides here")).to_be_visible()
    content = {
        "day/same.tiff": slide.read_bytes(),
        "day/cut.svs": slide.read_bytes()[:999],
        "day/inner/copy.tiff": slide.read_bytes() + bytes(1),
        "day/notes.txt": b"x",
    }
    for name, data in content.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    drop(page, tmp_path / "day")
    expect(page.get_by_role("alert", name="Upload of cut.svs")).to_contain_text("not taken")
    expect(page.get_by_role("status", name="Files that were not sent")).to_contain_text("day/notes.txt")
    rows = page.get_by_role("list", name="Slides").get_by_role("listitem")
    copied = rows.filter(has_text="copy.tiff")
    expect(copied).to_have_count(1)
    expect(page.locator(".uploading")).to_have_count(2)
    names = [one["name"] for one in httpx.get(f"{address}/v1/slides").raise_for_status().json()["slides"]]
    assert "copy.tiff" in names
    assert "cut.svs" not in names

    # Its job may be under way still: it is stopped first, and then all goes.
    for answer in ("Keep it", "Delete the slide"):
        copied.get_by_role("button", name="More for copy.tiff").click()
        page.get_by_role("menuitem", name="Delete the slide").click()
        question = page.get_by_role("dialog", name="Delete copy.tiff")
        expect(question).to_contain_text("cannot be undone")
        question.get_by_role("button", name=answer).click()
        expect(copied).to_have_count(1 if answer == "Keep it" else 0)
    names = [one["name"] for one in httpx.get(f"{address}/v1/slides").raise_for_status().json()["slides"]]
    assert "copy.tiff" not in names


def drop(page: Page, path: Path) -> None:
    """What a hand does that lets go of a file or folder above the page."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 700, "y": 400, "data": data})


def test_the_scale_is_asked_for_where_the_file_does_not_say_it(open_page: OpenPage, slide_without_scale: Path) -> None:
    page = open_page("/", refusals=(422,))
    page.get_by_label("Slide file").set_input_files(slide_without_scale)
    row = page.get_by_role("listitem").filter(has_text=slide_without_scale.name)
    expect(row).to_contain_text("How large is a pixel?")
    row.get_by_role("spinbutton").fill("0.5")
    row.get_by_role("button", name="Start").click()
    expect(row.locator(".chip")).to_have_text("ready", timeout=3 * PATIENCE_MS)


def test_keys_can_be_shown_and_switched_off(open_page: OpenPage, labelling: str) -> None:
    page = open_page(f"/board/{labelling}")
    number = page_number(page)
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="All keys")
    expect(dialog).to_be_visible()
    dialog.get_by_role("checkbox").uncheck()
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()
    page.keyboard.press("a")
    expect(cell_of(page, "A")).to_have_attribute("aria-pressed", "false")
    assert page_number(page) == number


def test_the_page_is_light_or_dark(open_page: OpenPage) -> None:
    page = open_page("/")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.get_by_role("button", name="Dark page").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
