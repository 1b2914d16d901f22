"""The fold over label events: pure, replayable, undone by events alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morula.common.errors import InvalidArgument, Stale
from morula.gateway.labels.effective import NOT_SURE
from morula.gateway.labels.fold import check_unchanged, check_undo, fold
from morula.gateway.labels.state import LabelEvent, SeenPage, Word


def page(seq: int, cells: dict[int, int | None], class_number: int | None, node: int = 5, leaf: int = 2) -> LabelEvent:
    rows = [{"row": row, "class_number": number, "shown_class_number": None} for row, number in cells.items()]
    place = {"node_id": node, "leaf": leaf, "cell_count": 40}
    return LabelEvent(
        seq, "page_named", {"place": place, "cells": rows, "class_number": class_number, "version": seq - 1}
    )


def cell(seq: int, row: int, class_number: int | None) -> LabelEvent:
    return LabelEvent(seq, "cell_set", {"row": row, "class_number": class_number})


def cluster(seq: int, node_id: int, class_number: int | None) -> LabelEvent:
    return LabelEvent(seq, "cluster_named", {"node_id": node_id, "class_number": class_number})


def undo(seq: int, of: int) -> LabelEvent:
    return LabelEvent(seq, "undone", {"seq": of})


def test_nothing_was_said() -> None:
    labels = fold([])
    assert (labels.seq, labels.words, labels.last) == (0, {}, None)


def test_a_page_marks_its_cells_and_odd_ones_are_only_seen() -> None:
    labels = fold([page(1, {10: 1, 11: 0, 12: None}, class_number=1)])
    assert labels.words == {10: Word(1, 1, 1), 11: Word(0, 1, 1), 12: Word(None, 1, 1)}
    assert (labels.marks, labels.odd, labels.mark_count) == ({10: 1, 12: NOT_SURE}, {11: 1}, 1)
    assert labels.seen_rows == {10, 11, 12}
    assert labels.pages == {10: SeenPage(1, 5, 2)}


def test_a_page_put_off_is_seen_and_not_counted_as_named() -> None:
    labels = fold([page(1, {10: None, 11: 0}, class_number=None)])
    assert (labels.marks, labels.odd, labels.mark_count) == ({10: NOT_SURE}, {}, 0)
    assert labels.seen_rows == {10, 11}
    assert labels.pages == {10: SeenPage(1, 5, 2)}


def test_a_page_that_is_named_again_is_the_same_page() -> None:
    labels = fold([page(1, {10: 1, 11: 1}, 1), page(2, {12: 1}, 1), page(3, {10: 2, 11: 2}, 2)])
    assert [seen.number for seen in labels.pages.values()] == [1, 2]
    assert [labels.words[row].page for row in (10, 11, 12)] == [1, 1, 2]


def test_naming_a_page_names_no_cluster() -> None:
    assert fold([page(1, {10: 1}, class_number=1, node=5)]).names == {}


def test_the_last_word_on_a_cell_counts() -> None:
    labels = fold([page(1, {10: 1}, 1), cell(2, 10, 3), cell(3, 11, 2), page(4, {11: 1}, 1)])
    assert labels.marks == {10: 3, 11: 1}
    assert labels.overrides == {10}


def test_a_word_taken_back_leaves_the_cell_seen() -> None:
    labels = fold([page(1, {10: 1}, 1), cell(2, 10, None)])
    assert labels.marks == {}
    assert labels.seen_rows == {10}


def test_a_cluster_s_name_can_be_taken_back() -> None:
    assert fold([cluster(1, 7, 2)]).names == {7: 2}
    assert fold([cluster(1, 7, 2), cluster(2, 7, None)]).names == {}


def test_what_is_undone_counts_no_more_and_shows_what_was_before() -> None:
    said = [page(1, {10: 1}, 1), cell(2, 10, 3)]
    labels = fold([*said, undo(3, of=2)])
    assert labels.marks == {10: 1}
    assert labels.seq == 3
    assert labels.last == said[0]


def test_a_page_is_stale_where_its_own_cells_were_named_since_and_not_otherwise() -> None:
    log = [page(1, {1: 2, 2: 2}, 2), page(2, {3: 1, 4: 0}, 1), cell(3, 5, 1)]
    with pytest.raises(Stale) as refused:
        check_unchanged(log, 1, [3, 4, 6])
    assert refused.value.metadata["rows"] == "3,4"
    check_unchanged(log, 2, [3, 4, 6])
    check_unchanged(log, 0, [6, 7])
    with pytest.raises(Stale):
        check_unchanged(log, 2, [5])
    check_unchanged([*log, undo(4, 3)], 2, [5])
    with pytest.raises(Stale):
        check_unchanged([*log, undo(4, 2)], 3, [3])


def test_only_what_counts_can_be_undone() -> None:
    log = [page(1, {10: 1}, 1), undo(2, of=1)]
    for seq in (1, 2, 3):
        with pytest.raises(InvalidArgument):
            check_undo(log, seq)
    check_undo(log[:1], 1)


bodies = st.one_of(
    st.tuples(
        st.just("page"),
        st.dictionaries(st.integers(0, 30), st.sampled_from([None, 0, 1, 2]), min_size=1, max_size=4),
        st.sampled_from([None, 1, 2]),
    ),
    st.tuples(st.just("cell"), st.integers(0, 30), st.sampled_from([None, 1, 2])),
    st.tuples(st.just("cluster"), st.integers(1, 5), st.sampled_from([None, 1, 2])),
    st.tuples(st.just("undo"), st.floats(0, 1), st.none()),
)


def log_of(steps: list[tuple[str, Any, Any]]) -> list[LabelEvent]:
    log: list[LabelEvent] = []
    for kind, first, second in steps:
        seq = len(log) + 1
        if kind != "undo":
            log.append({"page": page, "cell": cell, "cluster": cluster}[kind](seq, first, second))
            continue
        undone = {event.body["seq"] for event in log if event.kind == "undone"}
        left = [event.seq for event in log if event.kind != "undone" and event.seq not in undone]
        if left:
            log.append(undo(seq, of=left[int(first * (len(left) - 1))]))
    return log


@given(st.lists(bodies, max_size=25))
def test_an_undone_event_is_as_if_never_said(steps: list[tuple[str, Any, Any]]) -> None:
    log = log_of(steps)
    undone = {event.body["seq"] for event in log if event.kind == "undone"}
    kept = [event for event in log if event.kind != "undone" and event.seq not in undone]
    whole, short = fold(log), fold(kept)
    assert (whole.words, whole.names, whole.pages) == (short.words, short.names, short.pages)
    assert whole.seen_rows == short.seen_rows


@given(st.lists(bodies, max_size=25))
def test_replay_gives_the_same(steps: list[tuple[str, Any, Any]]) -> None:
    log = log_of(steps)
    assert fold(log) == fold(iter(log))


@given(st.lists(bodies, max_size=25), st.integers(0, 25), st.sets(st.integers(0, 30), min_size=1, max_size=8))
def test_a_page_is_stale_where_folds_differ(steps: list[tuple[str, Any, Any]], page_seq: int, rows: set[int]) -> None:
    log = log_of(steps)
    then, now = fold(event for event in log if event.seq <= page_seq).words, fold(log).words
    told = [[word and (word.class_number, word.page_class) for word in map(words.get, rows)] for words in (then, now)]
    if told[0] == told[1]:
        check_unchanged(log, page_seq, list(rows))
    else:
        with pytest.raises(Stale):
            check_unchanged(log, page_seq, list(rows))
