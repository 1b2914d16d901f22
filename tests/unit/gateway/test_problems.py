"""Errors as problems, and as what the conductor's engine stores of them."""

from __future__ import annotations

import pickle

import pytest

from morula.common.errors import ALL_ERRORS, Busy, MorulaError, SlideScaleUnknown
from morula.gateway.problems import problem_of


@pytest.mark.parametrize("kind", ALL_ERRORS, ids=lambda kind: kind.reason)
def test_every_error_is_a_problem_with_its_status(kind: type[MorulaError]) -> None:
    problem = problem_of(kind("what happened", key="a/b"), "trace")
    assert problem["status"] == kind.http_status
    assert 400 <= problem["status"] < 600
    assert (problem["reason"], problem["detail"], problem["key"]) == (kind.reason, "what happened", "a/b")
    assert problem["type"].startswith("urn:morula:problem:")
    assert problem["trace_id"] == "trace"


def test_facts_of_an_error_replace_nothing_of_the_problem() -> None:
    assert problem_of(SlideScaleUnknown("no scale", status="200", title="fine"))["status"] == 422


def test_an_error_without_a_detail_says_its_title() -> None:
    assert problem_of(SlideScaleUnknown())["detail"] == problem_of(SlideScaleUnknown())["title"]


@pytest.mark.parametrize("kind", ALL_ERRORS, ids=lambda kind: kind.reason)
def test_every_error_survives_the_engine_s_store(kind: type[MorulaError]) -> None:
    stored = pickle.loads(pickle.dumps(kind("what happened", key="a/b")))
    assert (type(stored), stored.detail, stored.metadata) == (kind, "what happened", {"key": "a/b"})


def test_busy_keeps_its_patience() -> None:
    assert pickle.loads(pickle.dumps(Busy("busy", retry_after_s=7.0))).retry_after_s == 7.0
