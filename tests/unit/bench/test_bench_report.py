"""Figures and their bounds."""

import pytest

from morula.bench.report import Case, Report


@pytest.mark.parametrize(
    ("value", "bound", "holds"),
    [(50, ">=50", True), (49.9, ">=50", False), (1, "<=1", True), (1.1, "<=1", False), (7, None, True)],
)
def test_bounds(value: float, bound: str | None, holds: bool) -> None:
    case = Case("n", value, "s", bound)
    assert case.holds is holds
    assert Report("s", [case]).holds is holds


def test_the_words_of_the_json_stay() -> None:
    report = Report("pipeline", [Case("n", 1.5, "s", "<=2")]).as_json()
    assert list(report) == ["stage", "machine", "cases", "left_out", "said"]
    assert report["cases"] == [{"name": "n", "value": 1.5, "unit": "s", "bound": "<=2", "holds": True}]
