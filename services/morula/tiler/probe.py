"""Opens an untrusted slide where that can do no harm: a child process with limits on memory and time.

`python -m morula.tiler.probe PATH` prints one line of JSON, what the slide is or why it is none. `probe(path)` runs
that and turns every way it can end, a crash and a hang among them, into a description or SlideUnreadable.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from morula.common.errors import SlideUnreadable
from morula.tiler.readers import open_slide
from morula.tiler.slide import Level, Scale, Slide

MEMORY_BYTES = 4 << 30
CPU_S = 60
WALL_S = 120.0
MAX_SIDE_PX = 1 << 22  # Four million pixels, a metre of glass at 40x: more is a damaged header.
WINDOW_PX = 64


@dataclass(frozen=True)
class Description:
    """What a slide is, found out by really reading it."""

    vendor: str
    scale: Scale
    levels: tuple[Level, ...]


def probe(path: Path, *, wall_s: float = WALL_S) -> Description:
    """Describes the slide; raises SlideUnreadable with one line where it cannot be read within the limits."""
    # The child gets no secret of ours: it handles bytes that a stranger made.
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "morula.tiler.probe", str(path)]
    try:
        ended = subprocess.run(  # noqa: S603 - no shell, our own interpreter and module
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=wall_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise SlideUnreadable(f"{path.name} was not readable within {wall_s:.0f} s", name=path.name) from error
    try:
        answer: dict[str, Any] = json.loads(ended.stdout)
    except ValueError as error:
        raise SlideUnreadable(f"{path.name} made the reader fail (exit {ended.returncode})", name=path.name) from error
    if "error" in answer:
        raise SlideUnreadable(answer["error"], name=path.name)
    return Description(answer["vendor"], Scale(**answer["scale"]), tuple(Level(**level) for level in answer["levels"]))


def describe(slide: Slide) -> Description:
    """Decodes the middle and the far corner of every level: a file that was cut short fails at its end."""
    for number, level in enumerate(slide.levels):
        if max(level.width_px, level.height_px) > MAX_SIDE_PX:
            raise SlideUnreadable(f"level {number} claims {level.width_px} x {level.height_px} px")
        width, height = min(WINDOW_PX, level.width_px), min(WINDOW_PX, level.height_px)
        slide.read(number, (level.width_px - width) // 2, (level.height_px - height) // 2, width, height)
        slide.read(number, level.width_px - width, level.height_px - height, width, height)
    return Description(slide.vendor, slide.scale, slide.levels)


def _limit(limits: Iterable[tuple[int, int]]) -> None:
    for kind, most in limits:
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def _main(path: Path) -> None:
    _limit(
        [
            (resource.RLIMIT_AS, MEMORY_BYTES),
            (resource.RLIMIT_CPU, CPU_S),
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_CORE, 0),
        ]
    )
    try:
        with open_slide(path) as slide:
            answer = asdict(describe(slide))
    except SlideUnreadable as error:
        answer = {"error": str(error)}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
