"""Files made to do harm: each ends in a picture or in words, soon, and shows nothing that is not its own."""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from morula.common.errors import SlideUnreadable
from morula.tiler.probe import MEMORY_BYTES, describe, limit
from morula.tiler.readers import open_slide
from tests.fixtures.hostile import RED, write_all

LEAST = 60
WORDS_LIMIT = 500
LIMIT_CPU_S = 2.0
PICTURE_PX = 64


def main(folder: Path) -> None:
    """What a child does: all of them one after the other, with the limits of the one that looks at uploads."""
    files = write_all(folder)
    open_slide(folder / "good.tif").close()  # What is done once in a process's life.
    limit([(resource.RLIMIT_AS, MEMORY_BYTES)])
    for name, file in files.items():
        sys.stdout.write(json.dumps({"began": name}) + "\n")
        sys.stdout.flush()
        began = time.process_time()
        report: dict[str, Any] = {"name": name}
        try:
            with open_slide(file.entry, file.mates) as slide:
                describe(slide)
                side = min(PICTURE_PX, slide.width_px, slide.height_px)
                pixels = slide.read(0, 0, 0, side, side)
                report["shown"] = [slide.width_px, slide.height_px]
                report["red"] = bool((np.abs(pixels.astype(int) - RED).max(axis=-1) < 9).any())
        except SlideUnreadable as error:
            report["refused"] = str(error)
        except MemoryError:
            report["refused"] = f"{file.entry.name} takes too much memory"
        except Exception as error:  # noqa: BLE001 - reported to the test
            report["error"] = repr(error)
        report["cpu_s"] = time.process_time() - began
        sys.stdout.write(json.dumps(report) + "\n")
        sys.stdout.flush()


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("hostile")
    command = [sys.executable, "-W", "ignore", "-m", "tests.unit.tiler.test_hostile_files", str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert ended.returncode == 0, (ended.returncode, lines[-1:], ended.stderr[-2000:])
    return {line["name"]: {**line, "folder": str(folder)} for line in lines if "name" in line}


def problem(end: dict[str, Any]) -> str:
    """What is wrong with how a file ended."""
    words = end.get("refused", "-")
    if "error" in end:
        return f"an error of the reader's own: {end['error']}"
    if end["cpu_s"] > LIMIT_CPU_S:
        return f"{end['cpu_s']:.1f} s of work"
    if end.get("red"):
        return "it shows what is not its own"
    if not 0 < len(words) < WORDS_LIMIT or len(words.splitlines()) != 1 or end["folder"] in words:
        return f"no words for a person: {words}"
    return ""


def test_files_made_to_do_harm_do_none(ends: dict[str, dict[str, Any]]) -> None:
    assert len(ends) >= LEAST
    problems = {name: found for name, end in ends.items() if (found := problem(end))}
    assert not problems


def test_most_of_them_are_refused(ends: dict[str, dict[str, Any]]) -> None:
    """The others are odd, but pictures."""
    shown = {name for name, end in ends.items() if "shown" in end}
    assert "endless.tif" in shown
    assert len(shown) < len(ends) / 3, sorted(shown)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
