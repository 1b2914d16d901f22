"""Whether outputs changed, and whether the revisions say so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from morula.common.keys import STAGE_REVISIONS
from tests.golden.fingerprints import Marks, differences, machine
from tests.golden.stages import STAGES

Pinned = Mapping[str, Any]


def unrevised(marks: Mapping[str, Marks], pinned: Pinned, revisions: Mapping[str, int] = STAGE_REVISIONS) -> str:
    """The first stage whose outputs changed while neither its revision nor an earlier one did; empty where none is.

    What follows a stage with a new revision is made of new inputs, and may change.
    """
    for stage in STAGES:
        there = pinned["stages"].get(stage)
        if there is None or there["revision"] != revisions[stage]:
            return ""
        changed = differences(marks[stage], there["marks"], same_machine=pinned["machine"] == machine())
        if changed:
            return f"the outputs of {stage} changed: raise its revision in common/keys.py ({', '.join(changed[:9])})"
    return ""


def outdated(pinned: Pinned, revisions: Mapping[str, int] = STAGE_REVISIONS) -> list[str]:
    """Stages whose pinned outputs are of another revision."""
    there = pinned["stages"]
    return [stage for stage in STAGES if there.get(stage, {}).get("revision") != revisions[stage]]
