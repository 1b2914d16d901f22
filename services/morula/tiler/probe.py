"""Opens an untrusted slide where that can do no harm: a child process with limits on memory and time.

`python -m morula.tiler.probe PATH`, which reads the names of the slide's other files as JSON, prints one line of JSON,
what the slide is or why it is none. `probe(path)` runs that and turns every way it can end, a crash and a hang among
them, into a description or SlideUnreadable.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from morula.common.compute import Checkpoint, go_on
from morula.common.errors import SlideUnreadable
from morula.tiler.readers import open_slide
from morula.tiler.slide import Level, Scale, Slide

MEMORY_BYTES = 4 << 30
CPU_S = 30
WALL_S = 120.0
LOOK_S = 0.25  # How often the probe checks that its caller still waits.
WINDOW_PX = 64


@dataclass(frozen=True)
class Description:
    """What a slide is, found out by really reading it."""

    vendor: str
    scale: Scale
    levels: tuple[Level, ...]


def probe(
    path: Path, mates: Collection[str] = (), checkpoint: Checkpoint = go_on, *, wall_s: float = WALL_S
) -> Description:
    """Describes the slide; raises SlideUnreadable with one line where it cannot be read within the limits.

    `mates` are the slide's other files, by their names as seen from this one.
    """
    # The child gets no secret of ours: it handles bytes that a stranger made. What libraries print may be endless.
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(  # noqa: S603 - no shell, our own interpreter and module
        [sys.executable, "-m", "morula.tiler.probe", str(path)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as child:
        try:
            answer = _answer(child, json.dumps(sorted(mates)).encode(), checkpoint, wall_s)
        except subprocess.TimeoutExpired as error:
            raise SlideUnreadable(f"{path.name} could not be read within {wall_s:.0f} s", name=path.name) from error
        finally:
            child.kill()
    try:
        facts: dict[str, Any] = json.loads(answer)
    except ValueError as error:
        raise SlideUnreadable(f"{path.name} {_end(child.returncode)}", name=path.name) from error
    if "error" in facts:
        raise SlideUnreadable(facts["error"], name=path.name)
    levels = tuple(Level(**level) for level in facts["levels"])
    return Description(facts["vendor"], Scale(**facts["scale"]), levels)


def _answer(child: "subprocess.Popen[bytes]", sent: bytes | None, checkpoint: Checkpoint, wall_s: float) -> bytes:
    """What the child says, unless nobody waits for it any more."""
    until = time.monotonic() + wall_s
    while True:
        left_s = until - time.monotonic()
        try:
            return child.communicate(sent, max(0.0, min(LOOK_S, left_s)))[0]
        except subprocess.TimeoutExpired:
            sent = None  # communicate() has taken it: do not pass it again.
            checkpoint()
            if left_s <= LOOK_S:
                raise


def _end(code: int) -> str:
    """How a child ended that said nothing."""
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"takes more than {CPU_S} s of work to read"
    return f"made the reader fail (exit {code})"


def describe(slide: Slide) -> Description:
    """Decodes the middle and the far corner of every level: a file that was cut short fails at its end."""
    for number, level in enumerate(slide.levels):
        width, height = min(WINDOW_PX, level.width_px), min(WINDOW_PX, level.height_px)
        slide.read(number, (level.width_px - width) // 2, (level.height_px - height) // 2, width, height)
        slide.read(number, level.width_px - width, level.height_px - height, width, height)
    return Description(slide.vendor, slide.scale, slide.levels)


def limit(limits: Iterable[tuple[int, int]]) -> None:
    for kind, most in limits:
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def _main(path: Path, mates: Collection[str]) -> None:
    limit(
        [
            (resource.RLIMIT_AS, MEMORY_BYTES),
            (resource.RLIMIT_CPU, CPU_S),
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_CORE, 0),
        ]
    )
    try:
        with open_slide(path, mates) as slide:
            answer = asdict(describe(slide))
    except SlideUnreadable as error:
        answer = {"error": str(error)}
    except MemoryError:
        answer = {"error": f"{path.name} takes more than {MEMORY_BYTES >> 30} GiB of memory to read"}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    _main(Path(sys.argv[1]), json.load(sys.stdin))
