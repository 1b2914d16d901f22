"""Sentences about cells: words only for what can be seen, numbers that are true."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from morula.gateway.labels.facts import BIN_COUNT, MEASURE_COLUMNS, SAMPLE_LIMIT, distribute, facts, sentence, standings


@pytest.fixture
def columns() -> dict[str, npt.NDArray[np.float32]]:
    rng = np.random.default_rng(1)
    return {name: rng.normal(1.0, 0.1, 1000).astype(np.float32) for name in MEASURE_COLUMNS}


def test_what_is_small_is_called_small_with_the_true_difference(columns: dict[str, npt.NDArray[np.float32]]) -> None:
    columns["area_um2"][:50] = 0.5
    text = sentence(standings(columns, distribute(columns), np.arange(50)), "slide")
    below = round(100 * (1 - 0.5 / float(np.median(columns["area_um2"]))))
    assert text == f"Small: area {below} % below the slide's median."


def test_cells_like_all_others_are_called_so(columns: dict[str, npt.NDArray[np.float32]]) -> None:
    text = sentence(standings(columns, distribute(columns), np.arange(1000)), "cohort")
    assert text == "Close to the cohort's median in size, shape and stain."


def test_a_difference_nobody_can_see_is_not_told(columns: dict[str, npt.NDArray[np.float32]]) -> None:
    columns["solidity"] = np.linspace(0.95, 0.96, 1000, dtype=np.float32)
    assert "dented" not in sentence(standings(columns, distribute(columns), np.arange(50)), "slide").lower()


def test_three_words_at_most(columns: dict[str, npt.NDArray[np.float32]]) -> None:
    for name in MEASURE_COLUMNS:
        columns[name][:50] = 0.3
    assert sentence(standings(columns, distribute(columns), np.arange(50)), "slide").count("%") == 3


def test_facts_place_the_cells_in_the_slide_s_distribution(columns: dict[str, npt.NDArray[np.float32]]) -> None:
    columns["area_um2"][:50] = columns["area_um2"].max()
    area = facts(distribute(columns), standings(columns, distribute(columns), np.arange(50)))[0]
    assert (area.name, area.unit, area.position) == ("Area", "µm²", pytest.approx(1.0))
    assert len(area.histogram) == BIN_COUNT
    assert 900 <= sum(area.histogram) <= 1000


def test_a_measure_that_was_not_taken_is_not_told(columns: dict[str, npt.NDArray[np.float32]]) -> None:
    columns["area_um2"][:] = np.nan
    told = facts(distribute(columns), standings(columns, distribute(columns), np.arange(50)))
    assert "Area" not in [fact.name for fact in told]
    assert told


def test_of_many_cells_a_sample_says_the_same() -> None:
    many = np.random.default_rng(2).normal(1.0, 0.1, 4 * SAMPLE_LIMIT).astype(np.float32)
    sampled = distribute({"area_um2": many})["area_um2"]
    assert len(sampled.ordered) <= SAMPLE_LIMIT
    assert sampled.median == pytest.approx(float(np.median(many)), rel=0.01)
    assert sampled.rank(1.0) == pytest.approx(0.5, abs=0.01)
