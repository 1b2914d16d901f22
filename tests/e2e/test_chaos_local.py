"""A few rounds of `make chaos` on SQLite and a folder; a file for each ground, so that they run beside each other."""

from __future__ import annotations

import pytest

from tests.chaos.faults import FAULTS
from tests.chaos.few import assert_none_lost


@pytest.mark.slow
def test_no_job_is_lost_whatever_happens() -> None:
    assert_none_lost("local", list(FAULTS)[:5])
