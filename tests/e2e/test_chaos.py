"""A few rounds of `make chaos`: every fault on one ground or the other."""

from __future__ import annotations

import pytest

from tests.chaos.__main__ import run
from tests.chaos.faults import FAULTS
from tests.chaos.grounds import GROUNDS

COUNT = 5
FAULTS_OF = {"local": list(FAULTS)[:COUNT], "servers": list(FAULTS)[-COUNT:]}


@pytest.mark.slow
@pytest.mark.parametrize("ground", GROUNDS)
def test_no_job_is_lost_whatever_happens(ground: str) -> None:
    outcomes = run(ground, COUNT, FAULTS_OF[ground], seed=0)
    assert len(outcomes) == COUNT
    assert [one for one in outcomes if one.problems] == []
