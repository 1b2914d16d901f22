"""Workers of the tiler's measurement, each a process of its own, that begin together.

`python -m morula.bench.tile_worker slide|cut|decode SLIDE COUNT NUMBER` says when it is ready, begins when it is
asked to, and prints what it took as one line of JSON. `slide` opens, plans and cuts all of it, `cut` only cuts its part
of the shards, `decode` only decodes its part of the JPEG tiles.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import cv2
import imagecodecs
import tifffile

from morula.bench.plain import our_way, plan_of
from morula.tiler import kernels
from morula.tiler.cutting import cut_shard
from morula.tiler.readers import open_slide

MPP = 0.5
TISSUE_BYTES = 2  # Tiles of tissue are at least so many times as large as those of glass.
DECODE_PASSES = 3  # So that decoding takes about as long as cutting.

Work = Literal["slide", "cut", "decode"]
Begin = Callable[[], object]


@dataclass(frozen=True)
class Taken:
    """What one worker took."""

    wall_s: float
    waited_s: float  # The part of the time in which it was ready to run and others had the processor.
    cpu_s: float
    peak_mib: float

    @property
    def own_s(self) -> float:
        """What the clock would have shown had nobody else wanted the processor."""
        return self.wall_s - self.waited_s


def work(what: Work, path: Path, count: int = 1) -> list[Taken]:
    """So many workers share the work and begin together; what each took."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "morula.bench.tile_worker", what, str(path), str(count)]
    running = [
        subprocess.Popen(  # noqa: S603 - our own module
            [*command, str(number)], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for number in range(count)
    ]
    ready = [child.stdout.readline() for child in running]  # type: ignore[union-attr]  # it is a pipe
    for child, word in zip(running, ready, strict=True):
        if word:  # An empty line means that it has ended; how is seen below.
            child.stdin.write("\n")  # type: ignore[union-attr]  # it is a pipe
            child.stdin.flush()  # type: ignore[union-attr]  # it is a pipe
    answers = []
    for child in running:
        output, _ = child.communicate()
        if child.returncode:
            raise RuntimeError(f"a worker ended with {child.returncode}")
        answers.append(Taken(**json.loads(output)))
    return answers


def main(what: Work, path: Path, count: int, number: int) -> None:
    cv2.setNumThreads(1)
    with PREPARED[what](path, count, number) as begin:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        began_s, began_cpu_s, waited_s = time.monotonic(), time.process_time(), _waited_s()
        begin()
        waited_s = _waited_s() - waited_s  # Read within the span that the clock measures, so that it cannot exceed it.
        wall_s = time.monotonic() - began_s
    taken = Taken(wall_s, waited_s, time.process_time() - began_cpu_s, _peak_kib() / 1024)
    sys.stdout.write(json.dumps(asdict(taken)))


def _peak_kib() -> int:
    """Of this process alone: what the kernel says of its resources counts its parent's memory, too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


def _waited_s() -> float:
    """How long the main thread, which does the work, was ready to run and did not."""
    return int(Path("/proc/self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9


@contextmanager
def _whole(path: Path, _count: int, _number: int) -> Iterator[Begin]:
    kernels.warm()
    with tempfile.TemporaryDirectory(prefix="morula-bench-") as scratch:
        yield lambda: our_way(path, Path(scratch), MPP, "default")


@contextmanager
def _cutting(path: Path, count: int, number: int) -> Iterator[Begin]:
    with open_slide(path) as slide, tempfile.TemporaryDirectory(prefix="morula-bench-") as scratch:
        plan, pixels = plan_of(slide, MPP), Path(scratch) / "pixels.arrow"
        with open_slide(path) as another:  # What a process does once in its life is done before the time begins.
            cut_shard(another, plan, number % plan.metadata["shard_count"], "default", pixels, lambda: None)

        def cut() -> None:
            for shard in range(number, plan.metadata["shard_count"], count):
                cut_shard(slide, plan, shard, "default", pixels, lambda: None)

        yield cut


@contextmanager
def _decoding(path: Path, count: int, number: int) -> Iterator[Begin]:
    with tifffile.TiffFile(path) as tiff, path.open("rb") as file:
        page = tiff.pages.first
        places = list(zip(page.dataoffsets, page.databytecounts, strict=True))
        tissue = [place for place in places if place[1] > TISSUE_BYTES * min(page.databytecounts)]
        tiles = []
        for offset, length in tissue[number::count]:
            file.seek(offset)
            tiles.append(file.read(length))

    def decode() -> None:
        for _ in range(DECODE_PASSES):
            for tile in tiles:
                imagecodecs.jpeg8_decode(tile)

    yield decode


PREPARED: dict[Work, Callable[[Path, int, int], AbstractContextManager[Begin]]] = {
    "slide": _whole,
    "cut": _cutting,
    "decode": _decoding,
}

if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))  # type: ignore[arg-type]  # of the words
