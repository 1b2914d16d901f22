"""What the papers show is what happens: their commands and programs are run against a real server."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from morula.common.testing import write_slide
from tests.contract.rest_world import World, name_page
from tests.servers.require import program, require

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOCS = Path(__file__).resolve().parents[2] / "docs"


def blocks(page: str, language: str) -> list[str]:
    """The blocks of code of a page that are in this language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


async def run(folder: Path, url: str, *command: str) -> str:
    """Runs a command as a reader would, in a folder; its output."""
    surroundings = {**os.environ, "MORULA": url, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=folder, env=surroundings, stdout=pipe, stderr=pipe)
    output, errors = (part.decode() for part in await process.communicate())
    assert process.returncode == 0, f"{output[-1000:]}\n{errors[-2000:]}"
    return output


async def test_the_commands_of_the_api_guide(world: World, url: str, tmp_path: Path) -> None:
    for name in ("curl", "jq"):
        require(program(name), name, f"apt-get install {name}")
    write_slide(tmp_path / "slide.tiff", 520, 420, seed=4)
    output = await run(tmp_path, url, "bash", "-euxo", "pipefail", "-c", "\n".join(blocks("api.md", "sh")))
    (shown,) = (json.loads(block) for block in blocks("api.md", "json"))
    answered = json.loads(output[output.index('{\n  "type"') :].partition("\n}")[0] + "\n}")
    assert answered | {"trace_id": ""} == shown | {"trace_id": ""}
    assert "event: job" in (tmp_path / "events.txt").read_text()
    assert "event: " in (tmp_path / "changes.txt").read_text()


async def test_the_program_of_the_api_guide(world: World, url: str, tmp_path: Path) -> None:
    (program_text,) = blocks("api.md", "python")
    (tmp_path / "send.py").write_text(program_text, encoding="utf-8")
    nuclei = write_slide(tmp_path / "slide.tiff", 512, 512, seed=9)
    output = await run(tmp_path, url, "python", "send.py", "slide.tiff", str(tmp_path))
    found = pq.read_metadata(tmp_path / "cells.parquet").num_rows
    assert found == pytest.approx(nuclei.x_px.size, rel=0.05)
    assert f"cells, {found} cells, 0 tiles failed" in output


async def test_the_snippets_of_the_guide(world: World, url: str, tmp_path: Path) -> None:
    labelling = await world.labelling()
    for number in (1, 2):
        await name_page(world, labelling, number)
    for path in (f"/v1/jobs/{world.job['id']}/files/cells.parquet", f"{labelling}/labels.parquet"):
        (tmp_path / path.rpartition("/")[2]).write_bytes((await world.http.get(path)).content)
    areas, sure = [await run(tmp_path, url, "python", "-c", text) for text in blocks("guide.md", "python")]
    assert "area_um2_mean" in areas
    assert f"of {world.job['cell_count']} cells" in sure
