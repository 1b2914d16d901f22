"""Macro-F1 and what stands beside it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from morula.common.scores import constant, macro_f1

NAMES = st.sampled_from(["a", "b", "c"])


@given(st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=60))
def test_macro_f1_is_the_usual_one(pairs: list[tuple[str, str]]) -> None:
    truth, predicted = (np.array(column) for column in zip(*pairs, strict=True))
    expected = f1_score(truth, predicted, labels=np.unique(truth), average="macro", zero_division=0)
    assert macro_f1(truth, predicted) == pytest.approx(expected)


def test_no_label_is_wrong() -> None:
    assert macro_f1(np.array(["a", "a"]), np.array(["a", ""])) == pytest.approx(2 / 3)


def test_the_constant_predictor_says_the_commonest_class() -> None:
    truth = np.array(["a", "b", "b"])
    assert constant(truth).tolist() == ["b", "b", "b"]
    assert macro_f1(truth, constant(truth)) == pytest.approx(0.4)
