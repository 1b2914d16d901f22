"""What people call what takes disk space."""

from __future__ import annotations

from morula.common.keys import STAGE_REVISIONS
from morula.onebox.disk_usage import KINDS


def test_every_stage_that_keys_name_has_a_word() -> None:
    assert set(KINDS) == set(STAGE_REVISIONS)
