"""What was said of a sample is a fold over its events: annotators apart, the last word counts, undo takes one back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from morula.common.errors import InvalidArgument
from morula.gateway.labels.state import LabelEvent
from morula.gateway.samples.fold import Folded, check_own_undo, fold, fold_on

ANNOTATORS = ("Ada", "Bob")
CELLS = st.lists(st.integers(1, 4), min_size=1, max_size=3)
LABELLED = st.fixed_dictionaries(
    {"tile": st.integers(1, 2), "cells": CELLS, "class_number": st.sampled_from([None, 1, 2])}
)
FLAGGED = st.fixed_dictionaries({"tile": st.integers(1, 2), "cells": CELLS, "badly_segmented": st.booleans()})
IMPORTED = st.fixed_dictionaries(
    {
        "name": st.just("batch_1"),
        "labels": st.lists(
            st.fixed_dictionaries(
                {
                    "tile": st.integers(1, 2),
                    "cell": st.integers(1, 4),
                    "class_number": st.sampled_from([None, 1, 2]),
                    "badly_segmented": st.sampled_from([None, True, False]),
                }
            ),
            min_size=1,
            max_size=3,
        ),
    }
)
SAID = st.one_of(
    st.tuples(st.just("cells_labelled"), LABELLED),
    st.tuples(st.just("cells_flagged"), FLAGGED),
    st.tuples(st.just("labels_imported"), IMPORTED),
)


def log_of(said: list[tuple[str, tuple[str, dict[str, Any]]]]) -> list[LabelEvent]:
    return [LabelEvent(seq, kind, body, actor) for seq, (actor, (kind, body)) in enumerate(said, 1)]


@given(st.lists(st.tuples(st.sampled_from(ANNOTATORS), SAID), max_size=12), st.data())
def test_an_undone_event_counts_as_if_it_had_not_been(
    said: list[tuple[str, tuple[str, dict[str, Any]]]], data: st.DataObject
) -> None:
    log = log_of(said)
    words = fold(log)
    assert words.seq == len(log)
    begun = fold_on(Folded(), log[: len(log) // 2])
    kept = {name: vars(begun.words.of(name).copy()) for name in ANNOTATORS}
    assert fold_on(begun, log[len(log) // 2 :]).words == words
    assert {name: vars(begun.words.of(name)) for name in ANNOTATORS} == kept, "what was folded does not change"
    for name in ANNOTATORS:
        alone = fold([event for event in log if event.actor == name]).of(name)
        assert (words.of(name).classes, words.of(name).flagged) == (alone.classes, alone.flagged)
    if not log:
        return
    gone = data.draw(st.sampled_from(log))
    undone = LabelEvent(len(log) + 1, "undone", {"seq": gone.seq}, gone.actor)
    assert fold_on(fold_on(Folded(), log), [undone]).words == fold([*log, undone])
    after, without = fold([*log, undone]), fold([event for event in log if event is not gone])
    for name in ANNOTATORS:
        assert vars(after.of(name)) == vars(without.of(name))
    with pytest.raises(InvalidArgument):
        check_own_undo([*log, undone], gone.seq, gone.actor)
    other = next(name for name in ANNOTATORS if name != gone.actor)
    with pytest.raises(InvalidArgument, match="another annotator"):
        check_own_undo(log, gone.seq, other)


def test_the_last_word_counts() -> None:
    body = {"tile": 1, "cells": [1, 2], "class_number": 1}
    log = log_of(
        [("Ada", ("cells_labelled", body)), ("Ada", ("cells_labelled", {**body, "cells": [2], "class_number": 2}))]
    )
    assert fold(log).of("Ada").classes == {(1, 1): 1, (1, 2): 2}
