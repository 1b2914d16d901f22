"""A few rounds of `make chaos` on PostgreSQL and S3."""

from __future__ import annotations

import pytest

from tests.chaos.faults import FAULTS
from tests.chaos.few import assert_none_lost


@pytest.mark.slow
def test_no_job_is_lost_whatever_happens() -> None:
    assert_none_lost("servers", list(FAULTS)[-5:])
