"""Every cell is found wherever the grid lies, and once."""

import numpy as np
import pytest

from morula.bench.seams import MOVED_PX, compared, discs, whole_discs
from morula.bench.slides import Agreement, Lattice, agreement, near_seams, pooled, settled_cells
from morula.segmenter.instances import Wanted

LATTICE = Lattice(96, 3)


def test_no_cell_is_lost_or_seen_twice_where_the_grid_moves() -> None:
    pixels = discs(700, 500, 260)
    found = compared(pixels, 0.5, (LATTICE, Lattice(96, 3, MOVED_PX)), whole_discs, Wanted())
    assert found.is_near.sum() > 100
    assert (~found.is_near).sum() > 10
    assert found.is_matched.all()
    assert found.duplicates == 0
    assert found.deficit_points == found.half_interval_points == 0


def test_what_is_lost_and_what_is_doubled_is_seen() -> None:
    pixels = discs(700, 500, 260)
    cells = settled_cells(pixels, 0.5, LATTICE, whole_discs, Wanted())
    near = near_seams(cells, pixels, [LATTICE], 20)
    assert 0 < near.sum() < len(cells)
    interior = np.flatnonzero(~near)
    for lost in (
        agreement([cells, cells.take(interior)], [near, near[interior]]),
        agreement([cells.take(interior), cells], [near[interior], near]),
    ):
        assert lost.is_matched[~lost.is_near].all()
        assert not lost.is_matched[lost.is_near].any()
        assert lost.deficit_points == 100
    twice = np.r_[np.arange(len(cells)), 0]
    assert agreement([cells, cells.take(twice)], [near, near[twice]]).duplicates == 1


def test_the_interval_is_that_of_repeated_samples() -> None:
    """Cells of a block share their luck; the deficit of new samples lies in the interval in 19 of 20."""
    held, rounds, blocks, each = 0, 400, 150, 8
    random = np.random.default_rng(0)
    for _ in range(rounds):
        lucky = random.random(blocks) < 0.5
        near = random.random(blocks) < 0.4
        block = np.repeat(np.arange(blocks), each)
        chance = np.where(near, 0.85, 0.9) + np.where(lucky, 0.1, -0.1)
        found = Agreement(near[block], random.random(block.size) < chance[block], block, 0)
        held += abs(found.deficit_points - 5) <= found.half_interval_points
    assert 0.92 <= held / rounds <= 0.98
    twice = pooled([found, found])
    assert twice.deficit_points == pytest.approx(found.deficit_points)
    assert twice.half_interval_points == pytest.approx(found.half_interval_points / np.sqrt(2))
