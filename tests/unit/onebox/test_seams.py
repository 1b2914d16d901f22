"""Every cell is found wherever the grid lies, and once."""

import numpy as np

from morula.onebox.bench.seams import MOVED_PX, compared, discs, whole_discs
from morula.onebox.bench.slides import Lattice, agreement, near_seams, settled_cells
from morula.segmenter.instances import Wanted

LATTICE = Lattice(96, 3)


def test_no_cell_is_lost_or_seen_twice_where_the_grid_moves() -> None:
    pixels = discs(700, 500, 260)
    found = compared(pixels, 0.5, (LATTICE, Lattice(96, 3, MOVED_PX)), whole_discs, Wanted())
    assert found.seam_cells > 50
    assert found.interior_cells > 5
    assert (found.seam_matched, found.interior_matched) == (found.seam_cells, found.interior_cells)
    assert found.duplicates == 0
    assert found.deficit_points == 0


def test_what_is_lost_and_what_is_doubled_is_seen() -> None:
    pixels = discs(700, 500, 260)
    cells = settled_cells(pixels, 0.5, LATTICE, whole_discs, Wanted())
    near = near_seams(cells, pixels, [LATTICE], 20)
    assert 0 < near.sum() < len(cells)
    fewer = cells.take(np.flatnonzero(~near))
    lost = agreement(cells, fewer, near)
    assert (lost.seam_matched, lost.interior_matched) == (0, int((~near).sum()))
    assert lost.deficit_points == 100
    twice = cells.take(np.r_[np.arange(len(cells)), 0])
    assert agreement(cells, twice, near).duplicates == 1
