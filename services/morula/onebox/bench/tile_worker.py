"""One worker of the tiler's measurement, as a process of its own: cuts its part of a slide's shards, or only decodes.

`python -m morula.onebox.bench.tile_worker cut|decode SLIDE COUNT NUMBER` prints what it took as one line of JSON:
`wall_s` from the first shard on, because a slide is planned once whoever cuts it, `cpu_s` with the plan.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import cv2
import imagecodecs
import tifffile

from morula.onebox.bench.plain import plan_of
from morula.tiler.cutting import cut_shard
from morula.tiler.readers import open_slide

MPP = 0.5
TISSUE_BYTES = 2  # Tiles of tissue are at least so many times as large as those of glass.


def main(what: str, path: Path, count: int, number: int) -> None:
    cv2.setNumThreads(1)
    began_cpu_s = time.process_time()
    began_s = _decode(path, count, number) if what == "decode" else _cut(path, count, number)
    answer = {
        "wall_s": time.monotonic() - began_s,
        "cpu_s": time.process_time() - began_cpu_s,
        "peak_mib": _peak_kib() / 1024,
    }
    sys.stdout.write(json.dumps(answer))


def _peak_kib() -> int:
    """Of this process alone: what the kernel says of its resources counts its parent's memory, too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


def _cut(path: Path, count: int, number: int) -> float:
    with open_slide(path) as slide, tempfile.TemporaryDirectory(prefix="morula-bench-") as scratch:
        plan = plan_of(slide, MPP)
        began_s = time.monotonic()
        for shard in range(number, plan.metadata["shard_count"], count):
            cut_shard(slide, plan, shard, "default", Path(scratch) / "pixels.arrow", lambda: None)
    return began_s


def _decode(path: Path, count: int, number: int) -> float:
    with tifffile.TiffFile(path) as tiff, path.open("rb") as file:
        page = tiff.pages.first
        places = list(zip(page.dataoffsets, page.databytecounts, strict=True))
        tissue = [place for place in places if place[1] > TISSUE_BYTES * min(page.databytecounts)]
        tiles = []
        for offset, length in tissue[number::count]:
            file.seek(offset)
            tiles.append(file.read(length))
    began_s = time.monotonic()
    for tile in tiles:
        imagecodecs.jpeg8_decode(tile)
    return began_s


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
