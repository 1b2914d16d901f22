"""Labels by their names, as written out plainly."""

from __future__ import annotations

import numpy as np
import pytest

from morula.evaluator.cells import Cells, Part
from morula.evaluator.core import Wanted
from morula.evaluator.named import measure


def test_labels_are_right_by_their_names_alone() -> None:
    rng = np.random.default_rng(0)
    truth = rng.choice(["tumour", "stroma", "lymphocyte"], 400, p=[0.6, 0.3, 0.1])
    label = rng.integers(0, 5, 400)
    names = {1: "Stroma", 2: "TUMOUR", 3: "not a cell", 4: "Lymphocyte"}
    cells = Cells(Part.of(truth), label, slide=Part.of(rng.integers(0, 6, 400)))
    found = measure(cells, names, Wanted(draws=50))
    assert found is not None
    right = [names.get(one, "").casefold() == said for one, said in zip(label.tolist(), truth, strict=True)]
    assert found["accuracy"]["value"] == pytest.approx(np.mean(right), abs=1e-6)
    assert found["accuracy"]["low"] < found["accuracy"]["value"] < found["accuracy"]["high"]
    assert found["baselines"]["constant"]["accuracy"]["value"] == pytest.approx(np.mean(truth == "tumour"), abs=1e-6)
    assert found["classes"] == {
        "Stroma": "stroma",
        "TUMOUR": "tumour",
        "not a cell": None,
        "Lymphocyte": "lymphocyte",
    }
    assert found["unlabelled_count"] == int((label == 0).sum())
    assert measure(cells, {1: "other"}, Wanted(draws=50)) is None


def test_two_classes_that_differ_by_their_letters_are_two() -> None:
    cells = Cells(Part.of(["Tumour", "tumour", "fat", "fat"] * 5), np.array([1, 2, 3, 3] * 5))
    found = measure(cells, {1: "Tumour", 2: "tumour", 3: "FAT"}, Wanted(draws=10))
    assert found is not None
    assert found["accuracy"]["value"] == 1.0
    assert found["classes"] == {"Tumour": "Tumour", "tumour": "tumour", "FAT": "fat"}
