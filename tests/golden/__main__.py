"""`python -m tests.golden`: pins the outputs of all stages anew; refuses where a change has no new revision."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path

from morula.common.keys import STAGE_REVISIONS
from tests.golden.fingerprints import machine
from tests.golden.stages import PINNED, STAGES, run
from tests.golden.verdict import Pinned, unrevised


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        marks = asyncio.run(run(Path(folder)))
    if PINNED.exists():
        pinned: Pinned = json.loads(PINNED.read_text())
        if pinned["machine"] == machine() and (changed := unrevised(marks, pinned)):
            sys.exit(changed)
    stages = {stage: {"revision": STAGE_REVISIONS[stage], "marks": marks[stage]} for stage in STAGES}
    lines = ",\n".join(f"{json.dumps(stage)}: {json.dumps(stages[stage], sort_keys=True)}" for stage in STAGES)
    PINNED.write_text(f'{{"machine": {json.dumps(machine())}, "stages": {{\n{lines}\n}}}}\n')


if __name__ == "__main__":
    main()
