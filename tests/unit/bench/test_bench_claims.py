"""What is said of labels beside what is true, on cells whose kinds overlap."""

from __future__ import annotations

import numpy as np
import pytest

from morula.bench import claims
from morula.bench.claims import Claim, Painted
from morula.bench.fields import finder
from morula.clusterer import core
from morula.clusterer.labeller.learn import Board
from tests.unit.clusterer.clouds import features, kinds

ROWS = 1500


def overlapping(seed: int) -> Painted:
    rows, kind = kinds(ROWS, apart=2.5, seed=seed)
    made = core.cluster(features(rows), core.Params(leaf_count=40, seed=seed))
    cut = np.asarray(made.tree.node_of_leaf(20), np.int64)
    tile = np.random.default_rng(seed).integers(0, 60, ROWS)
    return Painted(Board(features(rows).matrix, made.leaf, made.tree, cut), kind + 1, tile)


def test_claims_do_not_pass_the_truth_and_blind_enters_do_not_raise_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "PAGE_COUNTS", (6, 14))
    monkeypatch.setattr(claims, "BLIND_COUNT", 4)
    found: dict[str, Claim] = {claim.when: claim for claim in claims.claims_of(overlapping(3))}
    assert len(found) == 4
    assert all(-0.2 < claim.claimed - claim.true < 0.05 for claim in found.values())
    later = [found["after 14 pages"]]
    later += [claim for seed in (4, 5) for claim in claims.claims_of(overlapping(seed)) if claim.when == later[0].when]
    assert np.mean([abs(claim.claimed - claim.true) for claim in later]) < 0.07
    for count in claims.PAGE_COUNTS:
        looked, blind = found[f"after {count} pages"], found[f"after {count} pages and 4 blind Enters"]
        assert blind.cell_count == looked.cell_count
        assert blind.claimed <= looked.claimed + 0.02
        assert 0.6 < looked.true < 0.98


def test_a_painted_slide_has_a_class_for_each_cell_that_was_found() -> None:
    with finder("watershed") as find_cells:
        slide = claims.painted(771_900, find_cells, 512)
    assert len(slide.truth) == len(slide.tile) == len(slide.board.leaf) > 50
    assert claims.NOT_A_CELL in slide.truth
    assert slide.tile.max() == 0
