"""A multimodal model over a real connection: what passes is waited for, what is no answer is none, and budgets hold."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Sequence

import pytest

from morula.onebox import vision_model
from morula.onebox.failures import Failure, WrongUse
from morula.onebox.vision_model import Budget, OutOfBudget, Said, VisionModel
from tests.servers.vision import Answer, completion, vision_endpoint

SCHEMA = {"type": "object", "properties": {"cell_class": {"type": "string"}}}
BUSY = Answer(b"slow down", 429, {"Retry-After": "0.2"})


def ask(
    answers: Sequence[Answer], *, calls: int = 10, tokens: int = 1000, timeout_s: float = 5.0
) -> tuple[Said, Budget]:
    budget = Budget(calls, tokens)
    with (
        vision_endpoint(lambda number: answers[min(number, len(answers) - 1)]) as endpoint,
        VisionModel(endpoint.url, "seer", "top-secret\n", budget, timeout_s) as model,
    ):
        said = model.ask("Judge.", "What is it?", [b"jpeg"], SCHEMA)
        assert set(endpoint.keys) == {"Bearer top-secret"}
        assert endpoint.asked[0]["model"] == "seer"
        assert endpoint.asked[0]["response_format"]["json_schema"]["schema"] == SCHEMA
        assert endpoint.asked[0]["messages"][1]["content"][1]["image_url"]["url"] == "data:image/jpeg;base64,anBlZw=="
        assert len(endpoint.asked) == budget.calls
    return said, budget


def test_an_answer_is_read_with_what_it_cost() -> None:
    said, budget = ask([completion('{"cell_class": "a"}', tokens=321)])
    assert (said, budget.calls, budget.tokens) == (Said('{"cell_class": "a"}', "", "seer-1"), 1, 321)


def test_a_busy_endpoint_is_waited_for_as_long_as_it_asks() -> None:
    began = time.monotonic()
    said, budget = ask([BUSY, BUSY, completion("yes")])
    assert (said.text, budget.calls) == ("yes", 3)
    assert time.monotonic() - began >= 0.4


@pytest.mark.parametrize(
    ("answers", "words", "calls"),
    [
        ([BUSY], "answered 429", 4),
        ([completion(None, refusal="I cannot help with that.")], "refused: I cannot", 1),
        ([completion(None)], "the answer is empty", 1),
        ([Answer(b'{"choices": []}')], "the answer is empty", 1),
        ([Answer(b'{"choices": [{"mess')], "none of the protocol", 1),
        ([Answer(b"<html>")], "none of the protocol", 1),
        ([completion("yes", tokens=-5)], "none of the protocol: usage.total_tokens: Input should be greater", 1),
        ([completion("yes", tokens=2**31)], "none of the protocol: usage.total_tokens: Input should be less", 1),
        ([completion(None, refusal="top-\0secret:\n" + "a" * 5000)], "refused: [secret]: aaa", 1),
        ([completion("yes" * 10**6)], "more than 1,048,576 bytes", 1),
        ([Answer(gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"})], "the answer is packed", 1),
    ],
)
def test_what_is_no_answer_is_none_and_says_why(answers: Sequence[Answer], words: str, calls: int) -> None:
    said, budget = ask(answers)
    assert said.text is None
    assert words in said.why_not
    assert len(said.why_not) <= 300
    assert (budget.calls, budget.tokens) == (calls, 0 if "protocol" in words else budget.tokens)


@pytest.mark.parametrize("late", [Answer(b"", after_s=1.0), Answer(b" " * 10, piece_s=0.1)])
def test_an_answer_that_is_late_is_asked_for_again(late: Answer) -> None:
    said, budget = ask([late, completion("yes")], timeout_s=0.3)
    assert (said.text, budget.calls) == ("yes", 2)


def test_a_connection_that_breaks_off_is_like_a_busy_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vision_model, "LONGEST_WAIT_S", 0.01)
    said, budget = ask([Answer(b"", breaks_off=True), Answer(b"half of it", breaks_off=True), completion("yes")])
    assert (said.text, budget.calls) == ("yes", 3)
    said, budget = ask([Answer(b"", breaks_off=True)])
    assert (said.text, said.why_not, budget.calls) == (None, "the connection broke off", 4)


@pytest.mark.parametrize(("calls", "tokens", "words"), [(2, 1000, "2 calls"), (9, 150, "200 tokens")])
def test_a_budget_ends_before_the_next_call(calls: int, tokens: int, words: str) -> None:
    budget = Budget(calls, tokens)
    with (
        vision_endpoint(lambda _: completion("yes")) as endpoint,
        VisionModel(endpoint.url, "seer", None, budget) as model,
    ):
        for _ in range(2):
            model.ask("", "", [], SCHEMA)
        with pytest.raises(OutOfBudget, match=words):
            model.ask("", "", [], SCHEMA)
        assert len(endpoint.asked) == 2
        assert set(endpoint.keys) == {""}


def test_what_every_call_would_fail_of_is_an_error_without_the_key() -> None:
    refused = Answer(b"the key top-secret is not known", 401, {"Content-Type": "text/plain; charset=none-such"})
    with pytest.raises(Failure, match=r"answered 401: the key \[secret\] is not known"):
        ask([refused])
    with pytest.raises(Failure, match="sends elsewhere"):
        ask([Answer(b"", 302, {"Location": "javascript:1"})])
    with (
        VisionModel("http://127.0.0.1:1/v1", "seer", None, Budget(5, 5)) as model,
        pytest.raises(Failure, match="reached"),
    ):
        model.ask("", "", [], SCHEMA)


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("http://127.0.0.1/v1?api-version=2", None), ("ftp://127.0.0.1/v1", None), ("127.0.0.1:80", None),
        ("http://127.0.0.1:99999/v1", None), ("http://127.0.0.1/v1", "two\nlines"),
        ("http://127.0.0.1/v1", "schl\u00fcssel"),
    ],
)  # fmt: skip
def test_an_address_or_a_key_that_can_be_none_is_refused_and_not_told(url: str, key: str | None) -> None:
    with pytest.raises(WrongUse) as told:
        VisionModel(url, "seer", key, Budget(1, 1))
    assert key is None or key not in str(told.value)


def test_what_an_endpoint_calls_itself_is_fit_to_be_kept() -> None:
    for name, kept in (("a\x07b\0", "ab"), ("top-secret", "[secret]"), ("\n", None), ("m" * 5000, "m" * 200)):
        named = {"model": name, "choices": [{"message": {"content": "yes"}}]}
        assert ask([Answer(json.dumps(named).encode())])[0].answered_by == kept
