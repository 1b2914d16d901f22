"""No stage's outputs change without a new revision: what lies in stores would be taken for what it is not."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import cv2
import pytest

from morula.common.keys import STAGE_REVISIONS
from tests.golden.fingerprints import Marks, machine
from tests.golden.stages import NOT_PINNED, PINNED, STAGES, run
from tests.golden.verdict import outdated, unrevised

PIN = "pin them anew: .venv/bin/python -m tests.golden"


@pytest.fixture(scope="module")
def pinned() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(PINNED.read_text())
    return found


@pytest.mark.parametrize("threads", [1, 4])
async def test_no_outputs_changed_without_a_new_revision(
    threads: int, pinned: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = cv2.getNumThreads()
    cv2.setNumThreads(threads)
    try:
        marks = await run(tmp_path)
    finally:
        cv2.setNumThreads(before)
    changed = unrevised(marks, pinned)
    assert not changed, f"{changed}, then {PIN}"


def test_what_is_pinned_is_of_the_revisions_that_there_are(pinned: dict[str, Any]) -> None:
    assert not outdated(pinned), PIN


def test_every_stage_is_pinned_or_it_is_said_why_not() -> None:
    assert {*STAGES, *NOT_PINNED} == STAGE_REVISIONS.keys()


def marks_of(pinned: dict[str, Any]) -> dict[str, Marks]:
    return {stage: copy.deepcopy(pinned["stages"][stage]["marks"]) for stage in STAGES}


@pytest.mark.parametrize("stage", ["plan", "cells", "leaf", "model", "table"])
@pytest.mark.parametrize("here", [True, False])
def test_a_change_is_seen_and_a_new_revision_allows_it(stage: str, here: bool, pinned: dict[str, Any]) -> None:
    known = pinned | {"machine": machine() if here else "another"}
    marks = marks_of(pinned)
    assert unrevised(marks, known) == ""
    one = next(mark for mark in marks[stage].values() if len(mark["about"]) > 2 and any(mark["about"][2:]))
    one["exact"], one["about"][2] = "0" * 16, one["about"][2] + 0.02 * max(map(abs, one["about"][2:]))
    assert unrevised(marks, known).startswith(f"the outputs of {stage} changed")
    assert unrevised(marks, known, STAGE_REVISIONS | {stage: STAGE_REVISIONS[stage] + 1}) == ""
    assert unrevised(marks, known, STAGE_REVISIONS | {"plan": 0}) == ""


def test_on_another_machine_last_digits_may_differ(pinned: dict[str, Any]) -> None:
    marks = marks_of(pinned)
    for stage in STAGES:
        for mark in marks[stage].values():
            mark["exact"] = "0" * 16
            mark["about"][2:] = [value * (1 + 1e-6) for value in mark["about"][2:]]
    assert unrevised(marks, pinned | {"machine": "another"}) == ""
    assert unrevised(marks, pinned | {"machine": machine()})
