"""The figures of the demonstration."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from morula.demo.scores import constant, macro_f1
from morula.demo.truth import NOBODY, Truth, match

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


def test_each_true_cell_is_found_once_by_the_closest() -> None:
    truth = Truth(np.array([[10.0, 10.0], [100.0, 100.0]]), np.array(["a", "b"]))
    found = match(np.array([[14.0, 10.0], [11.0, 10.0], [50.0, 50.0]]), truth)
    assert found.truth_of_cell.tolist() == [NOBODY, 0, NOBODY]
    assert found.name(1) == "a"
    assert found.name(0) is None
    assert found.detection_f1 == pytest.approx(2 / 5)
    assert found.match_rate == pytest.approx(1 / 2)


def test_nothing_found_scores_nothing() -> None:
    truth = Truth(np.array([[10.0, 10.0]]), np.array(["a"]))
    assert match(np.empty((0, 2)), truth).detection_f1 == 0
