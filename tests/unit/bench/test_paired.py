"""Differences with an interval: what is no difference has 0 in it, and patients count, not cells."""

from __future__ import annotations

import numpy as np
import pytest

from morula.bench import paired
from morula.common import scores

PATIENTS, CELLS, CLASSES = 30, 900, 3


def labelled(seed: int, right: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, classes given (so many of them right; some cells got none), and patients."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(1, CLASSES + 1, CELLS)
    given = np.where(rng.random(CELLS) < right, truth, rng.integers(0, CLASSES + 1, CELLS))
    return truth, given, np.arange(CELLS) % PATIENTS


def counts(seed: int, right: float) -> paired.Counts:
    return paired.counted(*labelled(seed, right), CLASSES, PATIENTS)


def test_the_score_is_the_one_that_is_printed_everywhere() -> None:
    truth, given, _ = labelled(0, 0.6)
    assert paired.macro_f1(counts(0, 0.6).sum(axis=0)) == pytest.approx(scores.macro_f1(truth, given))
    one_class = paired.counted(np.ones(5, int), np.ones(5, int), np.zeros(5, int), CLASSES, 1)
    assert paired.macro_f1(one_class.sum(axis=0)) == 1.0


def test_a_difference_that_is_there_is_found_and_one_that_is_not_is_not() -> None:
    better = paired.difference([counts(0, 0.8), counts(1, 0.8)], [counts(0, 0.5), counts(1, 0.5)])
    assert 0 < better.low < better.mean < better.high
    level = paired.difference([counts(0, 0.6)], [counts(2, 0.6)])
    assert level.low < 0 < level.high


def test_cells_of_one_patient_are_no_independent_witnesses() -> None:
    truth, given, patients = labelled(3, 0.7)
    other = np.where(patients == 0, truth, given)
    tables = [paired.counted(truth, said, patients, CLASSES, PATIENTS) for said in (other, given)]
    many = [table.copy() for table in tables]
    for table in many:
        table[0] *= 20
    few, more = (paired.difference([ours], [theirs]) for ours, theirs in (tables, many))
    assert few.low == more.low == 0.0
    assert more.mean > 3 * few.mean > 0
