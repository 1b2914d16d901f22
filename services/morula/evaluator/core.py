"""One evaluation: what clusters are worth against the truth, by the published number and by honest ones.

`Cells`, `Part` and `Match` (`cells.py`) are what goes in; whoever matched the truth to its cells makes them:

    truth = Part.of(["tumour", "stroma", ...])        # a row for each matched cell
    cells = Cells(truth, cluster, slide=Part.of(slides), tile=Part.of(tiles), confidence=confidence)
    found = evaluate(cells, Match(truth_count=900, matched_count=len(cells), by="cell_id"))

What comes out is what `evaluation.json` holds and `report.py` makes a page of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from morula.common.compute import Checkpoint, go_on
from morula.evaluator import annotators, clicks, honest, naming, paper
from morula.evaluator.cells import Cells, Ints, Match, check
from morula.evaluator.draws import groups_of
from morula.evaluator.measures import Setting

FORMAT = 1
STAGES = ("paper", "clusters", "constant", "random", "singles", "morphology", "ceiling", "parts")
DRAWN_PAIRS, LEAST_DRAWS = 20_000_000, 100
"""Of very many clusters and classes slides are drawn less often: so many pairs of them, or of classes, over all draws,
or so often."""
WORTH_A_WORD = 0.1
"""Share of the cells."""
NOTICE = "For research and education. Not a medical device."

Report = Callable[[int, int, str], None]
"""How far it is: steps done, steps in all, what is done now."""


@dataclass(frozen=True)
class Wanted:
    """How it is measured. Results of different values cannot be compared."""

    draws: int = 1000
    """How often slides are drawn again for an interval."""
    folds: int = 5
    """Parts that groups are divided into: each is scored by names from the others."""
    clicks: int = 100
    """The budget that curves and areas reach to."""
    seed: int = 0


def silent(_done: int, _total: int, _stage: str) -> None:
    """Tells nobody."""


def evaluate(
    cells: Cells, match: Match, wanted: Wanted | None = None, checkpoint: Checkpoint = go_on, report: Report = silent
) -> dict[str, Any]:
    """Every number of these cells, as JSON takes it; InvalidArgument says in a line what no number can be made of.

    One thread: equal cells give equal numbers, and of its many small products of matrices two threads make more work.
    """
    wanted = wanted or Wanted()
    check(cells, match)

    def step(stage: str) -> None:
        checkpoint()
        report(STAGES.index(stage), len(STAGES), stage)

    with threadpool_limits(1):
        step("paper")
        published = paper.score(cells, checkpoint)
        once, said = each_once(cells)
        setting = setting_of(once, wanted, checkpoint)
        between = annotators.agreement(cells, (wanted.folds, wanted.draws, wanted.seed), checkpoint)
        return {
            "format": FORMAT,
            "notice": NOTICE,
            "match_rate": round(match.rate, 6),
            "match": match.as_json(),
            "wanted": vars(wanted),
            "remarks": [*said, *_remarks(cells, match), *honest.remarks(setting.groups), *_of_vectors(cells)],
            "paper": published,
            "honest": honest.measure(once, setting, step),
            **({} if between is None else {"agreement": between}),
        }


def each_once(cells: Cells) -> tuple[Cells, list[str]]:
    """Each cell once, with the class that most of its rows say; cells of which as many say another are left out.

    The published number counts all rows.
    """
    if cells.cell is None:
        return cells, []
    _, first, cell = np.unique(cells.cell, return_index=True, return_inverse=True)
    if len(first) == len(cells):
        return cells, []
    pairs, counts = np.unique(cell.ravel() * len(cells.truth.names) + cells.truth.codes, return_counts=True)
    of, classes = np.divmod(pairs, len(cells.truth.names))
    order = np.lexsort((classes, -counts, of))
    best = np.flatnonzero(np.diff(of[order], prepend=-1))
    following = np.minimum(best + 1, len(order) - 1)
    is_next = (following > best) & (of[order][following] == of[order][best])
    differs = is_next & (counts[order][following] == counts[order][best])
    once = cells.take(first[~differs])
    once = replace(once, truth=replace(once.truth, codes=classes[order][best][~differs]))
    check(once, Match(len(first), len(once), "cell"))
    words = f"{len(cells) - len(first):,} rows of the truth speak of a cell again"
    if differs.any():
        words += f"; {int(differs.sum()):,} cells are left out of the honest numbers, for it says two things of them"
    return once, [words]


def setting_of(cells: Cells, wanted: Wanted, checkpoint: Checkpoint) -> Setting:
    """Groups, folds and draws of these cells: what is measured of them by one setting can be compared."""
    pairs = len(np.unique(cells.clusters * len(cells.truth.names) + cells.truth.codes))
    entries = max(pairs, len(cells.truth.names) ** 2)
    draws = min(wanted.draws, max(LEAST_DRAWS, DRAWN_PAIRS // entries))
    counts: Ints = np.bincount(cells.truth.codes, minlength=len(cells.truth.names))
    return Setting(
        groups=groups_of(cells, wanted.folds, draws, wanted.seed),
        class_count=len(cells.truth.names),
        rare=naming.rare_classes(counts.astype(np.float64)),
        clicks=clicks.moments(wanted.clicks),
        seed=wanted.seed,
        checkpoint=checkpoint,
    )


def _remarks(cells: Cells, match: Match) -> list[str]:
    said = []
    if match.matched_count < match.truth_count:
        said.append(
            f"{match.truth_count - match.matched_count:,} of {match.truth_count:,} cells of the truth were not matched"
        )
    if cells.tile is None:
        each = "each slide counts as one" if cells.slide is not None else "all cells count as one"
        said.append(f"the truth names no tiles: for the published number {each}")
    if (share := _alone(cells)) >= WORTH_A_WORD:
        said.append(
            f"{share:.0%} of the cells lie in clusters that no other slide has: named on other slides these have no "
            "name, and their cells count as wrong"
        )
    return said


def _of_vectors(cells: Cells) -> list[str]:
    if cells.vectors is not None:
        return []
    return ["no vectors are given: the ceiling is every cell right, and single labels tell nothing of other cells"]


def _alone(cells: Cells) -> float:
    """Share of cells in clusters of one slide, where slides are named by each other."""
    if cells.slide is None or cells.is_apart or len(np.unique(cells.slide.codes)) < 2:
        return 0.0
    pairs = np.unique(np.column_stack([cells.clusters, cells.slide.codes])[~cells.is_noise], axis=0)
    clusters, slides = np.unique(pairs[:, 0], return_counts=True)
    return float(np.isin(cells.clusters[~cells.is_noise], clusters[slides == 1]).sum() / len(cells))
