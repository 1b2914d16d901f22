"""What the tiler's growth and its workers are measured by."""

from pathlib import Path
from typing import get_args

import pytest

from morula.bench.tile_growth import growth_cases
from morula.bench.tile_worker import PREPARED, Work, _peak_kib, work
from morula.common.testing import write_slide


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    write_slide(tmp_path / "slide.tiff", 700, 600)
    return tmp_path / "slide.tiff"


def off_linear(*cost_s: float) -> tuple[float, bool]:
    """How far, to a hundredth, and whether that holds."""
    sides = (10_240, 20_480, 40_960)
    (case,) = [case for case in growth_cases(dict(zip(sides, cost_s, strict=True))) if case.bound]
    return round(case.value, 2), case.holds


def test_growth_is_bounded_on_both_sides_and_a_fixed_cost_is_no_growth() -> None:
    assert off_linear(0.5 + 4, 0.5 + 16, 0.5 + 64) == (0.0, True)
    assert off_linear(4, 16, 90) == (0.54, False), "dearer on the larger slide"
    assert off_linear(4, 16, 50) == (0.29, False), "cheaper is not linear either"
    fixed, *_ = growth_cases({10_240: 4.5, 20_480: 16.5, 40_960: 64.5})
    assert (fixed.name, fixed.value) == ("fixed", 0.5)


def test_workers_share_the_work_and_say_what_was_theirs_of_the_time(slide: Path) -> None:
    taken = work("cut", slide, 2)
    assert len(taken) == 2
    for one in taken:
        assert 0 < one.own_s <= one.wall_s
        assert one.cpu_s > 0
        assert 10 < one.peak_mib < 4096
    with pytest.raises(RuntimeError, match="a worker ended"):
        work("cut", slide.with_name("nowhere.tiff"))


@pytest.mark.parametrize("what", get_args(Work))
def test_a_worker_does_what_it_prepared(slide: Path, what: Work) -> None:
    with PREPARED[what](slide, 2, 1) as begin:
        begin()


def test_a_process_knows_its_own_peak() -> None:
    assert 10_000 < _peak_kib() < 1 << 25
