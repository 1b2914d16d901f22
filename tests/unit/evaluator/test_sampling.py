"""The sampler: balanced, to a budget, the same for the same seed, and nothing left out in silence."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morula.common.errors import InvalidArgument
from morula.evaluator.sampling import Offer, sample

COUNTS = st.lists(st.lists(st.integers(0, 60), max_size=12), min_size=1, max_size=6)


def offers(counts: list[list[int]]) -> list[Offer]:
    return [
        Offer(f"slide {number}", np.arange(10, 10 + len(cells)), np.array(cells, np.int64))
        for number, cells in enumerate(counts)
    ]


@given(counts=COUNTS, batches=st.integers(1, 5), budget=st.integers(1, 120), seed=st.integers(0, 2**32))
def test_what_is_sampled(counts: list[list[int]], batches: int, budget: int, seed: int) -> None:
    with_cells = [cells for of_slide in counts for cells in of_slide if cells]
    if len(with_cells) < batches:
        with pytest.raises(InvalidArgument, match="need as many tiles"):
            sample(offers(counts), batches, budget, seed)
        return
    found = sample(offers(counts), batches, budget, seed)
    assert found == sample(offers(counts), batches, budget, seed)
    largest = max(with_cells)

    # Each tile at most once, with the cells that it has, and what is not in a batch is told with its reason.
    places = [(one.slide, one.tile) for one in found.tiles]
    assert len(set(places)) == len(places)
    assert all(one.cells == counts[one.slide][one.tile - 10] > 0 for one in found.tiles)
    for slide, cells in enumerate(counts):
        left = {one.reason: one for one in found.left_out if one.slide == slide}
        mine = [one for one in found.tiles if one.slide == slide]
        assert len(mine) + sum(one.tiles for one in left.values()) == len(cells)
        assert sum(one.cells for one in mine) + sum(one.cells for one in left.values()) == sum(cells)
        assert (left["no_cells"].tiles if "no_cells" in left else 0) == cells.count(0)

    # The budget is met with no more than one tile, or one tile for each batch; batches differ by no more than a tile.
    sizes = Counter(dict.fromkeys(range(1, batches + 1), 0))
    for one in found.tiles:
        sizes[one.batch] += one.cells
    assert set(sizes) == set(range(1, batches + 1))
    assert max(sizes.values()) - min(sizes.values()) <= largest
    total = sum(sizes.values())
    assert total >= min(batches * budget, sum(with_cells))
    assert total - found.tiles[-1].cells < batches * budget + largest or len(found.tiles) == batches

    # A slide gives less than another one by more than a tile only where it has no more.
    given_by = [sum(one.cells for one in found.tiles if one.slide == slide) for slide in range(len(counts))]
    spent = {one.slide for one in found.left_out if one.reason == "budget"}
    assert all(max(given_by) - given_by[slide] <= largest for slide in spent)


def test_the_order_of_the_slides_changes_nothing() -> None:
    slides = offers([[5, 9, 4], [8, 8], [3, 20, 6, 7]])
    turned = slides[::-1]
    first, other = sample(slides, 2, 12, 7), sample(turned, 2, 12, 7)
    assert [(slides[one.slide].name, one.tile, one.batch) for one in first.tiles] == [
        (turned[one.slide].name, one.tile, one.batch) for one in other.tiles
    ]
    seeds = {tuple((one.slide, one.tile, one.batch) for one in sample(slides, 2, 12, seed).tiles) for seed in range(20)}
    assert len(seeds) > 10
