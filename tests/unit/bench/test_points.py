"""Points that people set, matched to objects."""

import numpy as np
import pytest

from morula.bench.points import Detection, match

MPP = 0.5
LABELS = np.zeros((60, 60), np.int32)
LABELS[10:20, 10:20] = 1
LABELS[30:50, 30:50] = 2


@pytest.mark.parametrize(
    ("points", "matched"),
    [
        ([[15, 15], [40, 40]], 2),
        ([[15, 15], [16, 16]], 1),  # Both lie in one object, which is one nucleus.
        ([[31, 31]], 1),  # Far from the centre of a large object, but in it.
        ([[15, 22]], 1),  # In no object, within half a nucleus of a centre.
        ([[15, 25]], 0),
        ([[59, 59]], 0),
        # The one in the object has it, though the other lies nearer to its centre than to any other.
        ([[11, 11], [15, 22]], 1),
    ],
)
def test_a_point_is_of_the_object_that_it_lies_in_or_near(points: list[list[float]], matched: int) -> None:
    assert match(LABELS, np.array(points, np.float64), MPP) == Detection(2, len(points), matched)


def test_nothing_found_and_nothing_there_are_counted() -> None:
    nothing = np.zeros((9, 9), np.int32)
    assert match(nothing, np.array([[1.0, 1.0]]), MPP) == Detection(0, 1, 0)
    assert match(LABELS, np.empty((0, 2)), MPP) == Detection(2, 0, 0)
    total = Detection(2, 4, 1) + Detection(2, 0, 1)
    assert (total.f1, total.precision, total.recall) == (0.5, 0.5, 0.5)
