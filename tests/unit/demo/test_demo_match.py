"""The figures of the demonstration."""

import numpy as np
import pytest

from morula.demo.truth import NOBODY, Truth, match


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
