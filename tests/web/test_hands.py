"""Nothing that a person did is lost or hidden: keys, refusals, a line that breaks, a second window."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.web.board import cell_of, events, heading, page_number, settled, state
from tests.web.conftest import OpenPage

NEXT = re.compile(r"/labellings/[^/]+/page(\?.*)?$")
SAYING = re.compile(r"/labellings/[^/]+/events$")


@pytest.fixture
def labelling(address: str, clustering: str) -> str:
    """An empty labelling for each test."""
    answer = httpx.post(f"{address}/v1/labellings", json={"clustering_id": clustering}, timeout=60)
    return str(answer.raise_for_status().json()["id"])


@pytest.fixture
def board(open_page: OpenPage, labelling: str) -> Iterator[Page]:
    """The first page of a board; the tests below cut its line and provoke refusals."""
    page = open_page(f"/board/{labelling}", refusals=(0, 409, 412))
    page_number(page)
    return page


@pytest.mark.parametrize("control", ["Export", "Edit", "Dark page"])
def test_after_a_click_keys_are_the_pages_again(board: Page, control: str, address: str, labelling: str) -> None:
    board.keyboard.press("a")
    board.keyboard.press("1")
    if control == "Edit":
        board.get_by_role("button", name="Edit").click()
        board.get_by_role("button", name="Done").click()
    else:
        board.get_by_role("link" if control == "Export" else "button", name=control).click()
    board.keyboard.press("Enter")
    expect(heading(board)).to_have_text("Page 2")
    settled(board)
    # Held longer: it comes again by itself, for a page that nobody named.
    for _ in range(2):
        board.keyboard.down("2")
    expect(heading(board)).to_have_text("Page 3")
    settled(board)
    board.keyboard.down("2")
    board.keyboard.up("2")
    expect(heading(board)).to_have_text("Page 3")
    assert [event["kind"] for event in events(address, labelling)] == ["page_named"] * 2


def test_a_letter_on_a_clusters_chip_is_the_pages_key_and_names_no_cluster(
    board: Page, address: str, labelling: str
) -> None:
    chip = board.get_by_role("button", name=re.compile("Name of cluster")).first
    chip.focus()
    board.keyboard.press("f")
    expect(cell_of(board, "F")).to_have_attribute("aria-pressed", "true")
    assert events(address, labelling) == []
    chip.focus()
    board.keyboard.press("Enter")
    expect(board.get_by_role("menuitem", name="Tumour")).to_be_focused()
    board.keyboard.press("ArrowDown")
    board.keyboard.press("Escape")
    expect(chip).to_be_focused()
    board.keyboard.press("Enter")
    board.get_by_role("menuitem").nth(1).wait_for()
    board.keyboard.press("2")
    expect(chip).to_have_accessible_name(re.compile("Lymphocyte"))


def test_a_cluster_that_is_opened_comes_into_view_and_no_unseen_cell_is_named(
    board: Page, address: str, labelling: str
) -> None:
    board.set_viewport_size({"width": 1000, "height": 420})
    cards = board.get_by_role("button", name=re.compile("A page of cluster"))
    cards.last.click()
    settled(board)
    expect(cell_of(board, "A")).to_be_in_viewport(ratio=0.9)
    cards.last.scroll_into_view_if_needed()
    expect(cell_of(board, "L")).not_to_be_in_viewport()
    board.keyboard.press("1")
    expect(board.locator(".notes")).to_contain_text("named nothing")
    expect(board.locator(".cell").first).to_be_in_viewport()
    assert events(address, labelling) == []


def test_a_key_before_the_next_page_is_there_is_told_and_an_undo_waits(
    board: Page, address: str, labelling: str
) -> None:
    held: list[Route] = []
    board.route(SAYING, lambda route: held.append(route))
    board.keyboard.press("1")
    board.keyboard.press("2")
    expect(board.locator(".notes")).to_contain_text("that key named nothing")
    board.keyboard.press("u")
    board.unroute(SAYING)  # What was held goes on.
    expect(board.locator(".focus")).to_contain_text("the largest not yet shown")
    settled(board)
    assert [event["kind"] for event in events(address, labelling)] == ["page_named", "undone"]
    assert page_number(board) == 1


def test_a_page_whose_successor_does_not_come_takes_no_more_keys(board: Page, address: str, labelling: str) -> None:
    away = '{"title": "The labeller is away", "status": 409}'
    board.route(NEXT, lambda route: route.fulfill(status=409, content_type="application/problem+json", body=away))
    board.keyboard.press("1")
    expect(board.locator(".notes")).to_contain_text("The labeller is away")
    board.keyboard.press("2")
    expect(board.locator(".notes")).to_contain_text("named nothing")
    board.unroute(NEXT)
    board.keyboard.press("ArrowRight")
    expect(heading(board)).to_have_text("Page 2")
    assert [event["body"]["class_number"] for event in events(address, labelling)] == [1]


def test_a_renaming_taken_back_leaves_the_name_before_which_can_be_changed(
    board: Page, address: str, labelling: str
) -> None:
    board.keyboard.press("1")
    expect(heading(board)).to_have_text("Page 2")
    settled(board)
    board.keyboard.press("ArrowLeft")
    expect(heading(board)).to_have_text("Page 1")
    board.keyboard.press("2")
    expect(heading(board)).to_have_text("Page 2")
    settled(board)
    assert state(address, labelling)["page_count"] == 1
    board.keyboard.press("u")
    expect(heading(board)).to_have_text("Page 1")
    settled(board)
    expect(board.locator(".focus")).to_contain_text("12 Tumour")
    board.keyboard.press("3")
    expect(heading(board)).to_have_text("Page 2")
    settled(board)
    said = [event["body"].get("class_number") for event in events(address, labelling)]
    assert said == [1, 2, None, 3]
    assert set(dict(state(address, labelling)["marks"]).values()) == {3}


def test_a_name_that_is_there_already_is_told_beside_its_field(board: Page, address: str, labelling: str) -> None:
    board.get_by_role("button", name="Edit").click()
    field = board.get_by_role("textbox", name="Name of a new class")
    expect(field).to_be_focused()
    board.keyboard.type("Tumour")
    board.keyboard.press("Enter")
    expect(board.get_by_role("alert")).to_contain_text("already")
    expect(field).to_have_value("Tumour")
    expect(heading(board)).to_have_text("Page 1")
    count = len(state(address, labelling)["label_set"]["classes"])
    board.keyboard.press("Escape")
    board.get_by_role("button", name="Done").click()
    assert len(state(address, labelling)["label_set"]["classes"]) == count


def test_without_a_line_words_are_kept_over_a_reload_and_sent_once(board: Page, address: str, labelling: str) -> None:
    board.keyboard.press("b")
    board.keyboard.press("Escape")
    board.reload()
    expect(cell_of(board, "B")).to_have_accessible_name("Cell B: odd")
    settled(board)

    def lose(route: Route) -> None:
        """The gateway hears it; its answer never comes."""
        route.fetch()
        route.abort()

    board.route(SAYING, lose)
    board.keyboard.press("1")
    expect(board.get_by_text("1 answer not sent")).to_be_visible()
    expect(board.get_by_text("Morula does not answer")).to_be_visible()
    expect(board.get_by_text("Saved", exact=True)).to_have_count(0)
    board.unroute(SAYING)
    board.reload()
    expect(heading(board)).to_have_text("Page 2")
    expect(board.get_by_text("Saved", exact=True)).to_be_visible()
    expect(board.locator(".notes")).to_be_empty()
    (said,) = events(address, labelling)
    assert [cell["class_number"] for cell in said["body"]["cells"]][:3] == [1, 0, 1]


def test_offline_is_shown_and_what_was_said_goes_on_by_itself(board: Page, address: str, labelling: str) -> None:
    board.context.set_offline(True)
    expect(board.get_by_text("not connected")).to_be_visible(timeout=10_000)
    expect(board.locator(".notes")).to_contain_text("Morula does not answer")
    board.context.set_offline(False)
    expect(board.get_by_text("Saved", exact=True)).to_be_visible()
    expect(board.locator(".notes")).to_be_empty()

    board.context.set_offline(True)
    board.keyboard.press("1")
    expect(board.get_by_text("1 answer not sent")).to_be_visible()
    expect(heading(board)).to_have_text("Page 1")
    assert events(address, labelling) == []
    board.context.set_offline(False)
    expect(heading(board)).to_have_text("Page 2")
    expect(board.get_by_text("Saved", exact=True)).to_be_visible()
    assert [event["kind"] for event in events(address, labelling)] == ["page_named"]
    settled(board)

    coming = re.compile(r"/labellings/[^/]+/page$")
    board.route(coming, lambda route: route.abort())
    board.keyboard.press("1")
    expect(board.locator(".notes")).to_contain_text("Morula does not answer")
    board.unroute(coming)
    expect(heading(board)).to_have_text("Page 3")
    expect(board.locator(".notes")).to_be_empty()


def test_a_dead_gateway_is_shown_while_nothing_is_said(board: Page) -> None:
    board.route(re.compile(r"/v1/(events|jobs)"), lambda route: route.abort())
    board.reload()
    expect(board.get_by_text("not connected")).to_be_visible(timeout=15_000)
    board.unroute_all()
    expect(board.get_by_text("Saved", exact=True)).to_be_visible()
    expect(board.locator(".notes")).to_be_empty()


def test_what_was_said_offline_and_is_refused_is_told_until_somebody_has_read_it(
    board: Page, address: str, labelling: str
) -> None:
    url = f"{address}/v1/labellings/{labelling}"
    page = httpx.get(f"{url}/page", timeout=60).raise_for_status().json()
    board.context.set_offline(True)
    board.keyboard.press("2")
    expect(board.get_by_text("1 answer not sent")).to_be_visible()
    cells = [{"row": cell["row"], "class_number": 1, "shown_class_number": None} for cell in page["cells"]]
    body = {"place": page["place"], "cells": cells, "class_number": 1, "version": 0, "page_seq": page["seq"]}
    httpx.post(f"{url}/events", json={"kind": "page_named", "body": body}, timeout=60).raise_for_status()
    board.context.set_offline(False)
    expect(heading(board)).to_have_text("Page 2")
    settled(board)
    # The stream of events comes back later than the word is refused, and takes nothing away.
    board.wait_for_timeout(4000)
    expect(board.locator(".notes")).to_contain_text("nothing was overwritten")
    board.keyboard.press("ArrowLeft")
    expect(board.locator(".focus")).to_contain_text("12 Tumour stands there now")
    expect(cell_of(board, "A")).to_have_accessible_name("Cell A: named Lymphocyte")
    board.keyboard.press("Escape")
    expect(board.locator(".notes")).to_be_empty()
    board.keyboard.press("Enter")
    expect(heading(board)).to_have_text("Page 2")  # Named again it is the same page.
    settled(board)
    assert [event["body"]["class_number"] for event in events(address, labelling)] == [1, 2]


def test_pages_of_a_former_window_are_gone_back_to_and_named_again(board: Page, address: str, labelling: str) -> None:
    for key in "12":
        number = page_number(board)
        board.keyboard.press(key)
        expect(heading(board)).to_have_text(f"Page {number + 1}")
        settled(board)
    board.reload()
    assert page_number(board) == 3
    board.keyboard.press("ArrowLeft")
    expect(heading(board)).to_have_text("Page 2")
    board.keyboard.press("ArrowLeft")
    expect(heading(board)).to_have_text("Page 1")
    expect(cell_of(board, "A")).to_have_accessible_name("Cell A: named Tumour")
    settled(board)
    board.keyboard.press("ArrowLeft")
    expect(board.locator(".notes")).to_contain_text("No page was named before this one")
    settled(board)
    board.keyboard.press("3")
    expect(heading(board)).to_have_text("Page 3")  # Named again it is the same page.
    settled(board)
    first, _, again = [event["body"] for event in events(address, labelling)]
    assert [cell["row"] for cell in again["cells"]] == [cell["row"] for cell in first["cells"]]
    assert (first["class_number"], again["class_number"]) == (1, 3)


def test_of_two_windows_on_one_page_the_second_overwrites_nothing(
    board: Page, open_page: OpenPage, address: str, labelling: str
) -> None:
    other = open_page(f"/board/{labelling}", refusals=(412,))
    assert page_number(other) == 1
    board.keyboard.press("1")
    expect(heading(board)).to_have_text("Page 2")
    expect(other.locator(".notes")).to_contain_text("named elsewhere meanwhile")
    assert page_number(other) == 1
    other.keyboard.press("2")
    expect(heading(other)).to_have_text("Page 2")
    expect(other.locator(".notes")).to_contain_text("nothing was overwritten")
    other.keyboard.press("ArrowLeft")
    expect(other.locator(".focus")).to_contain_text("not taken")
    (said,) = events(address, labelling)
    assert said["body"]["class_number"] == 1


def test_a_slides_card_leads_to_where_something_was_said_and_offers_its_other_boards(
    board: Page, address: str, clustering: str, labelling: str
) -> None:
    board.keyboard.press("1")
    expect(heading(board)).to_have_text("Page 2")
    settled(board)
    empty = httpx.post(f"{address}/v1/labellings", json={"clustering_id": clustering}, timeout=60).raise_for_status()
    board.get_by_role("link", name="Slides").click()
    card = board.get_by_role("listitem").filter(has_text="1 page named")
    opening = card.get_by_role("link", name="Open the board")
    expect(opening).to_have_attribute("href", f"#/board/{labelling}")
    expect(card.get_by_role("link", name="On the slide")).to_have_attribute("href", re.compile(labelling))
    card.get_by_role("button", name=re.compile(r"boards of ")).click()
    board.get_by_role("menuitem", name="empty").first.click()
    expect(board).to_have_url(re.compile(f"#/board/{empty.json()['id']}"))


def test_a_board_that_is_deleted_elsewhere_says_so_and_leads_home(board: Page, address: str, labelling: str) -> None:
    httpx.delete(f"{address}/v1/labellings/{labelling}", timeout=60).raise_for_status()
    expect(board.get_by_role("alert")).to_contain_text("This board was deleted")
    expect(board.get_by_text("Saved", exact=True)).to_have_count(0)
    board.get_by_role("button", name="To the slides").click()
    expect(board.get_by_role("list", name="Slides")).to_be_visible()
