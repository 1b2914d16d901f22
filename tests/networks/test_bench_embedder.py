"""The embedder's measurement: both see the same cells by the same weights."""

import pytest

from morula.bench import embedder
from tests.servers.require import networks

networks()


def test_both_find_the_same_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    report = embedder.run(cell_count=2, rounds=1)
    cosines = {case.name: case for case in report.cases if "cosine" in case.name}
    assert all(case.holds for case in cosines.values()), cosines
    assert sum(case.bound is not None and case.unit == "x" for case in report.cases) == len(cosines)
