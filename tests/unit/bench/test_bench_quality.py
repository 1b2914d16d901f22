"""What labels that spread are worth: figures have their form, and can say no."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from morula.bench.quality import described, others, sets, stage, ways
from morula.bench.quality.described import Known
from morula.bench.quality.sets import Source
from morula.bench.report import Case
from morula.clusterer.features import Features
from morula.onebox.failures import Failure

ROWS, GROUPS, KINDS = 480, 24, 3
NAMES = ["constant", "random cells", "typical cells", "morula", "all labels"]
SOURCE = Source("clouds", "group", sets.synthetic, "")


def clouds(*, shuffled: bool) -> Known:
    """Three kinds that overlap, half of all cells of the first, a sixth of the last; or classes that say nothing."""
    rng = np.random.default_rng(1)
    kind = np.repeat([0, 0, 0, 1, 1, 2], ROWS // 6)
    rows = rng.normal(0, 1, (ROWS, 6)) + 2.5 * np.eye(6)[kind]
    classes = rng.permutation(kind) if shuffled else kind
    built = Features(rows.astype(np.float16), tuple("abcdef"), 6, None)
    return Known(classes + 1, ("gland", "stroma", "immune"), rng.permutation(ROWS) % GROUPS, {"morula": built}, None)


@pytest.fixture(scope="module")
def of_clouds() -> dict[bool, tuple[dict[str, Case], list[str]]]:
    found = {}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ways, "SPLITS", 2)
        for shuffled in (False, True):
            cases, words = stage.judged(SOURCE, clouds(shuffled=shuffled), NAMES)
            found[shuffled] = {case.name.removeprefix("clouds: "): case for case in cases}, words
    return found


def test_figures_lie_between_the_constant_and_all_labels(
    of_clouds: dict[bool, tuple[dict[str, Case], list[str]]],
) -> None:
    cases, words = of_clouds[False]
    # Half of all cells are of one of three classes: of that one F1 is 2/3, of the others 0.
    assert cases["constant at 5 clicks"].value == cases["constant at 120 s"].value == pytest.approx(2 / 9, abs=0.02)
    assert cases["constant at 5 clicks"].value < cases["morula at 40 clicks"].value - 0.3
    assert cases["morula at 40 clicks"].value <= cases["all labels at 40 clicks"].value + 0.05
    assert 0.4 < cases["morula: clusters against classes"].value < 1
    assert cases["constant: immune found at 40 clicks"].value == 0
    assert cases["all labels: immune found at 40 clicks"].value > 0.7
    gain = cases["morula minus constant at 40 clicks"]
    assert gain.interval is not None
    assert 0 < gain.interval[0] <= gain.value <= gain.interval[1]
    assert any("is above" in line and "constant" in line for line in words)
    for name in NAMES:
        assert sum(title.startswith(f"{name} at ") for title in cases) == len(ways.MOMENTS)


def test_classes_that_say_nothing_are_no_win(of_clouds: dict[bool, tuple[dict[str, Case], list[str]]]) -> None:
    cases, words = of_clouds[True]
    assert abs(cases["morula: clusters against classes"].value) < 0.03
    for rival in ("random cells", "typical cells"):
        interval = cases[f"morula minus {rival} at 40 clicks"].interval
        assert interval is not None
        assert interval[0] <= 0
    assert any("not told from" in line and "random cells" in line for line in words)


def test_a_painted_slide_is_described_without_any_data(tmp_path: Path) -> None:
    (picture,) = sets.synthetic(tmp_path, side_px=256, tile_px=64)
    known = described.describe([picture], tmp_path, 24)
    assert len(known.classes) == 24
    assert 4 < known.group_count <= 16
    assert known.classes.min() == 1
    assert known.classes.max() <= known.class_count
    assert known.boxed is None
    assert set(known.features) == {"morula", "morphology", "features", "blocks", "colour", "untrained"}
    assert {len(each.matrix) for each in known.features.values()} == {24}
    assert known.features["morula"].matrix.shape[1] == 2 * known.features["morphology"].matrix.shape[1]
    names, why = stage.rows_that_can(tmp_path)
    assert {"network only", "paper"} == set(ways.ROWS) - set(names)
    assert len(why) == 2


def test_other_clusters_stand_beside_ours_and_on_a_board_like_ours() -> None:
    known = clouds(shuffled=False)
    kind = known.classes - 1
    finest = np.where(np.arange(ROWS) % 10 == 0, -1, kind * 2 + np.arange(ROWS) % 2)
    layers = others.Layers(np.stack([finest, kind]), 1, 0.5)
    made = others.board(known.features["morula"], layers)
    assert made.tree.leaf_count == 6
    assert made.tree.noise_count == 0
    ours = ways.clustered(known, "morula")
    found = {case.name: case.value for case in others.cases(known, ours, {"stock": layers})}
    assert found["stock: cuts"] == 2
    assert found["stock, as proposed: clusters"] == 3
    assert found["stock, as proposed: AMI"] == found["stock, as proposed: every cluster named"] == 1
    assert 0.4 < found["stock, as proposed, morula in as many: AMI"] < 1
    assert found["morula, as proposed: every cluster named"] > 0.8
    assert found["stock, nearest to 20 clusters: in none"] == 0.1


def test_other_ways_that_are_not_here_are_named_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(others, "STOCK", tmp_path / "python")
    with pytest.raises(Failure, match="make clusterers"):
        others.check(["evoc"])


def test_the_cell_in_the_middle_is_taken_whole() -> None:
    pixels = np.full((80, 80, 3), 230, np.uint8)
    rows, columns = np.indices((80, 80))
    pixels[np.hypot(rows - 40, columns - 42) < 25] = (220, 170, 190)
    pixels[np.hypot(rows - 40, columns - 42) < 12] = (90, 50, 130)
    pixels[np.hypot(rows - 40, columns - 42) < 3] = (200, 160, 190)
    pixels[:6, :6] = (90, 50, 130)
    found = sets.darkest_piece(pixels)
    assert found[40, 42] == 1
    assert not found[:6, :6].any()
    assert abs(found.sum() - np.pi * 144) < 60
