"""Agreement of annotators against scikit-learn, and against the worked examples of the papers that define it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from morula.evaluator.annotators import agreement
from morula.evaluator.cells import Cells, Part
from morula.evaluator.core import each_once

WANTED = (5, 200, 0)


def cells_of(said: list[tuple[int, str, str]]) -> Cells:
    """Rows of cell, annotator and class; every third cell lies on another slide."""
    cell, annotator, classes = zip(*said, strict=True)
    places = np.asarray(cell, np.int64)
    return Cells(
        Part.of(classes),
        np.ones(len(said), np.int64),
        slide=Part.of(places % 3),
        annotator=Part.of(annotator),
        cell=places,
    )


def test_two_annotators_are_as_scikit_learn_has_it() -> None:
    rng = np.random.default_rng(0)
    one = rng.integers(0, 3, 200)
    two = np.where(rng.random(200) < 0.7, one, rng.integers(0, 3, 200))
    said = [(cell, who, str(classes[cell])) for who, classes in (("a", one), ("b", two)) for cell in range(200)]
    found = agreement(cells_of(said), WANTED)
    assert found is not None
    kappa = found["cohen"][0]["kappa"]
    assert kappa["value"] == pytest.approx(cohen_kappa_score(one, two), abs=1e-6)
    assert kappa["low"] < kappa["value"] < kappa["high"]
    assert found["cohen"][0]["agreement"]["value"] == pytest.approx(np.mean(one == two), abs=1e-6)
    assert found["several_count"] == kappa["n"] == 200


def test_fleiss_is_as_in_its_worked_example() -> None:
    """Fleiss 1971 as usually printed: ten subjects, fourteen raters, five categories."""
    table = [
        (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
        (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
    ]  # fmt: skip
    said = [
        (cell, f"r{rater:02}", str(name))
        for cell, votes in enumerate(table)
        for rater, name in enumerate(np.repeat(range(5), votes))
    ]
    found = agreement(cells_of(said), WANTED)
    assert found is not None
    assert found["fleiss"]["value"] == pytest.approx(0.210, abs=0.0005)


def test_krippendorff_is_as_in_his_worked_example() -> None:
    """Krippendorff 2011: four observers, twelve units, some not seen by all; nominal alpha 0.743."""
    rows = {
        "A": "1 2 3 3 2 1 4 1 2 . . .",
        "B": "1 2 3 3 2 2 4 1 2 5 . 3",
        "C": ". 3 3 3 2 3 4 2 2 5 1 .",
        "D": "1 2 3 3 2 4 4 1 2 5 1 .",
    }
    said = [(cell, who, word) for who, words in rows.items() for cell, word in enumerate(words.split()) if word != "."]
    found = agreement(cells_of(said), WANTED)
    assert found is not None
    assert found["krippendorff"]["value"] == pytest.approx(0.743, abs=0.0005)


def test_the_class_that_most_say_counts_and_ties_are_left_out() -> None:
    said = [(0, "a", "x"), (0, "b", "y"), (0, "c", "y"), (1, "a", "x"), (2, "a", "x"), (2, "b", "y"), (3, "b", "y")]
    once, words = each_once(cells_of(said))
    assert [once.truth.names[code] for code in once.truth.codes] == ["y", "x", "y"]
    assert "1 cells are left out" in words[0]


def test_one_annotator_agrees_with_nobody() -> None:
    assert agreement(cells_of([(0, "a", "x"), (1, "a", "y")]), WANTED) is None
