"""How the tiler's cost grows with the slide, and what a second worker is worth."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from statistics import mean, median

from morula.bench.large_slides import LargeSlide, write_large_slide
from morula.bench.report import Case
from morula.bench.tile_worker import Taken, Work, work

GROWING_PX = (10_240, 20_480, 40_960)
TILE_PX = 512
GROWTH_ROUNDS = 4
WORKER_ROUNDS = 9


def growth(folder: Path) -> list[Case]:
    """A slide costs something by itself, and so much more per tile of the grid: that must not depend on its size.

    All slides are of one layout, tissue and glass in the same shares, so that their tiles are the same on average. Each
    level is half of the one before it: by quarters, the second slide's overview would be made of a level with four
    times as many pixels as the others' are.
    """
    paths = {side: write_large_slide(folder / f"{side}.tiff", LargeSlide(side, step=2)) for side in GROWING_PX}
    runs: dict[int, list[Taken]] = {side: [] for side in GROWING_PX}
    for _ in range(GROWTH_ROUNDS):  # Measure them in turns, so that other work on the machine slows all of them alike.
        for side, path in paths.items():
            runs[side] += work("slide", path)
    for path in paths.values():
        path.unlink()
    cost_s = {side: min(run.cpu_s for run in runs[side]) for side in GROWING_PX}
    peak_mib = {side: max(run.peak_mib for run in runs[side]) for side in GROWING_PX}
    return [
        *(Case(f"{side}_px", round(cost_s[side] / _tiles(side) * 1000, 4), "ms/tile of the grid") for side in cost_s),
        *growth_cases(cost_s),
        Case("memory_40k_to_20k", round(peak_mib[GROWING_PX[2]] / peak_mib[GROWING_PX[1]], 3), "x", "<=1.5"),
    ]


def growth_cases(cost_s: dict[int, float]) -> list[Case]:
    """What a further tile costs from the first slide to the second and from there to the third."""
    steps = list(pairwise(sorted(cost_s)))
    further_s = [(cost_s[large] - cost_s[small]) / (_tiles(large) - _tiles(small)) for small, large in steps]
    smallest = min(cost_s)
    fixed_s = cost_s[smallest] - further_s[0] * _tiles(smallest)
    names = [f"further_tile_{small // 1000}k_to_{large // 1000}k" for small, large in steps]
    return [
        Case("fixed", round(fixed_s, 3), "s/slide"),
        *(Case(name, round(cost * 1000, 4), "ms") for name, cost in zip(names, further_s, strict=True)),
        Case("growth_off_linear", round(abs(further_s[1] / further_s[0] - 1), 3), "share", "<=0.15"),
    ]


def _tiles(side_px: int) -> float:
    return (side_px / TILE_PX) ** 2


def two_workers(folder: Path) -> list[Case]:
    """The same shards by one process and by two, beside processes that only decode the slide's JPEG tiles.

    Four measurements in a row make a round, and a round gives one ratio: what else runs on the machine meets all four.
    Of the time on the clock, what a worker waited for a processor that others had is not counted; what it waited for
    memory, files or locks is. That one worker has a shard more than the other is an accident of the slide: their mean
    counts.
    """
    path = write_large_slide(folder / "workers.tiff", LargeSlide(20_480))
    sped: dict[Work, list[float]] = {"cut": [], "decode": []}
    clock: dict[Work, list[float]] = {"cut": [], "decode": []}
    for _ in range(WORKER_ROUNDS):
        for what in sped:
            alone, both = work(what, path), work(what, path, 2)
            sped[what].append(alone[0].own_s / mean(run.own_s for run in both))
            clock[what].append(alone[0].wall_s / max(run.wall_s for run in both))
    path.unlink()
    ratio = median(cut / decode for cut, decode in zip(sped["cut"], sped["decode"], strict=True))
    return [
        Case("two_workers", round(median(sped["cut"]), 2), "x"),
        Case("two_decoders", round(median(sped["decode"]), 2), "x"),
        Case("two_workers_on_the_clock", round(median(clock["cut"]), 2), "x"),
        Case("two_decoders_on_the_clock", round(median(clock["decode"]), 2), "x"),
        Case("two_workers_to_decoders", round(ratio, 3), "x", ">=0.9"),
    ]
