"""Vectors of somebody's own, on the clock."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from morula.bench import labelled, labelling
from morula.bench.stages import measure
from morula.onebox.failures import WrongUse
from tests.unit.clusterer.clouds import kinds

ROWS, PATIENTS = 600, 8


def written(folder: Path, rows: np.ndarray, table: list[dict[str, object]]) -> tuple[Path, Path]:
    np.save(folder / "vectors.npy", rows)
    with (folder / "truth.csv").open("w", newline="") as lines:
        writer = csv.DictWriter(lines, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    return folder / "vectors.npy", folder / "truth.csv"


def cells(folder: Path) -> tuple[Path, Path]:
    rows, kind = kinds(ROWS, apart=4.0)
    names = np.array(["", "gland", "stroma", "immune"])[kind]
    table = [{"class": name, "patient": f"p{row % PATIENTS}"} for row, name in enumerate(names.tolist())]
    return written(folder, rows.astype(np.float32), table)


def test_rows_without_a_class_are_cells_that_nobody_named(tmp_path: Path) -> None:
    found = labelled.read(*cells(tmp_path))
    assert (found.class_count, found.patient_count) == (3, PATIENTS)
    assert (found.classes == 0).sum() == (kinds(ROWS, apart=4.0)[1] == 0).sum()
    assert abs(found.built.matrix.astype(np.float32).std(axis=0) - 1).max() < 0.05


def test_places_bring_the_nearest_cells_beside_a_cell(tmp_path: Path) -> None:
    rows = np.arange(40, dtype=np.float32).reshape(20, 2)
    table = [
        {"class": "a", "patient": row // 10, "slide": row // 10, "x_um": row % 10 * 8, "y_um": 0} for row in range(20)
    ]
    found = labelled.read(*written(tmp_path, rows, table))
    assert found.built.matrix.shape == (20, 4)
    assert found.built.matrix[0, 2] < found.built.matrix[19, 2]


def test_own_vectors_are_labelled_on_the_clock_and_beaten_by_nothing_that_they_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labelling, "SPLITS", 1)
    monkeypatch.setattr(labelling, "TIMES_S", (60, 120))
    vectors, truth = cells(tmp_path)
    cases = measure("labelling", Console(), vectors, truth).cases
    found = {case.name: case.value for case in cases}
    assert found["constant"] < 0.2 < 0.9 < found["all_labels"]
    assert found["pages_at_120_s"] > 0.9
    (gain,) = (case for case in cases if case.name.startswith("pages minus") and case.name.endswith("at 120 s"))
    assert gain.interval is not None
    assert gain.interval[0] <= gain.value <= gain.interval[1]


@pytest.mark.parametrize(
    ("rows", "table", "why"),
    [
        (np.zeros((2, 3)), [{"class": "a", "patient": 1}], "has 1 rows"),
        (np.zeros((1, 3)), [{"class": "a"}], "no column 'patient'"),
        (np.full((1, 3), np.nan), [{"class": "a", "patient": 1}], "not numbers"),
    ],
)
def test_what_does_not_belong_together_is_refused(
    tmp_path: Path, rows: np.ndarray, table: list[dict[str, object]], why: str
) -> None:
    with pytest.raises(WrongUse, match=why):
        labelled.read(*written(tmp_path, rows, table))


def test_vectors_without_truth_and_stages_without_vectors_are_refused(tmp_path: Path) -> None:
    for stage, truth in (("labelling", None), ("tiler", tmp_path)):
        with pytest.raises(WrongUse, match="belong together"):
            measure(stage, Console(), tmp_path, truth)
