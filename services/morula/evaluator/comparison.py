"""Two clusterings of the same cells: which is better, with an interval. The same slides are drawn for both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from morula.common.compute import Checkpoint, go_on
from morula.common.errors import InvalidArgument
from morula.evaluator import paper
from morula.evaluator.cells import Cells, Flags, Ints
from morula.evaluator.core import Wanted, each_once, setting_of
from morula.evaluator.draws import numbers
from morula.evaluator.measures import of_clusters


def compare(
    cells: Cells,
    other: Ints,
    is_there: Flags,
    noise: int,
    wanted: Wanted | None = None,
    checkpoint: Checkpoint = go_on,
) -> dict[str, Any]:
    """The cells' clusters minus other clusters of the same cells, over the cells that are in both.

    `other` is the other cluster of each cell, `noise` what it calls cells in none, `is_there` whether it has the cell.
    """
    if not is_there.any():
        raise InvalidArgument("the other assignments have none of the matched cells")
    wanted = wanted or Wanted()
    ours, _ = each_once(cells.take(is_there))
    # Numbers of the same rows: what is left out of one is left out of both.
    theirs, _ = each_once(replace(cells, cluster=other, noise=noise).take(is_there))
    setting = setting_of(ours, wanted, checkpoint)
    one, two = (of_clusters(each.truth.codes, each.clusters, each.is_noise, setting) for each in (ours, theirs))
    return {
        "cell_count": len(ours),
        "left_out_count": int((~is_there).sum()),
        "cluster_counts": [one.cluster_count, two.cluster_count],
        "paper": [paper.score(each, checkpoint)["accuracy"] for each in (ours, theirs)],
        "of_both": [numbers(each.numbers, len(ours)) for each in (one, two)],
        "difference": numbers({name: one.numbers[name] - two.numbers[name] for name in one.numbers}, len(ours)),
    }


def in_words(number: Mapping[str, Any]) -> str:
    """What a difference says."""
    if number["value"] is None or number["low"] is None:
        return "not told apart: there are no intervals"
    if number["low"] > 0:
        return "better"
    return "worse" if number["high"] < 0 else "not told apart"
