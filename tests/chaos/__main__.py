"""`python -m tests.chaos [--count N] [--ground local|servers]`: breaks things in N jobs and tells what was lost."""

from __future__ import annotations

import argparse
import itertools
import random
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from tests.chaos.faults import FAULTS
from tests.chaos.grounds import GROUNDS
from tests.chaos.rounds import Outcome, play, play_undisturbed
from tests.chaos.slide import write_tissue
from tests.chaos.worlds import open_world

TILES_ALONG = 8
"""A shard is one tile, so a job has 64."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.chaos")
    parser.add_argument("--count", type=int, default=len(FAULTS), help="jobs on each ground")
    parser.add_argument("--ground", choices=tuple(GROUNDS), action="append", help="all where not given")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fault", choices=tuple(FAULTS), action="append", help="all where not given")
    chosen = parser.parse_args()
    bad_count = 0
    for ground in chosen.ground or GROUNDS:
        outcomes = run(ground, chosen.count, chosen.fault or list(FAULTS), chosen.seed, TILES_ALONG)
        bad_count += sum(bool(one.problems) for one in outcomes)
    sys.exit(1 if bad_count else 0)


def run(ground: str, count: int, faults: list[str], seed: int, tiles_along: int) -> list[Outcome]:
    """Plays rounds on one ground, the faults in turn, and prints a table."""
    root = Path(tempfile.mkdtemp(prefix="morula-chaos-"))
    slide = root / "tissue.tiff"
    write_tissue(slide, tiles_along)
    outcomes: list[Outcome] = []
    with open_world(GROUNDS[ground], root) as world:
        undisturbed = play_undisturbed(world, slide)
        for number, fault in zip(range(count), itertools.cycle(faults), strict=False):
            # Each round has a seed of its own, so that one alone can be played again.
            outcome = play(world, slide, fault, undisturbed, random.Random(f"{seed}:{number}"))
            outcomes.append(outcome)
            _tell(number, outcome)
        print(f"\n{world.ground.name}: {count} jobs of {tiles_along**2} shards\n{table(outcomes)}\n", flush=True)
    if any(one.problems for one in outcomes):
        print(f"The programs' logs are in {root / 'logs'}")
    else:
        shutil.rmtree(root)
    return outcomes


def _tell(number: int, outcome: Outcome) -> None:
    end = "; ".join(outcome.problems) or "as undisturbed"
    tried = f", tried again {outcome.retry_count}" if outcome.retry_count else ""
    print(f"{number:4} {outcome.fault} ({outcome.told}){tried}: {end} [{outcome.seconds:.0f} s]", flush=True)


def table(outcomes: list[Outcome]) -> str:
    """A line for each fault."""
    lines = [f"{'fault':<18}{'jobs':>6}{'as undisturbed':>16}{'tried again':>13}{'wrong':>7}{'median s':>10}"]
    for fault in dict.fromkeys(one.fault for one in outcomes):
        mine = [one for one in outcomes if one.fault == fault]
        wrong = sum(bool(one.problems) for one in mine)
        again = sum(bool(one.retry_count) for one in mine)
        seconds = statistics.median(one.seconds for one in mine)
        lines.append(f"{fault:<18}{len(mine):>6}{len(mine) - wrong:>16}{again:>13}{wrong:>7}{seconds:>10.0f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
