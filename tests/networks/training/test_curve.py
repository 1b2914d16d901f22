"""The curve of a score against the number of images: nested parts, the same groups held out, nothing trained twice."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from morula.common.errors import InvalidArgument
from morula.training import curve, run
from morula.training.config import read_config
from morula.training.engine import Outcome
from morula.training.prepared import Prepared
from tests.networks.training.discs import CONFIG, write_discs

BLANK = np.zeros((4, 4), np.int32)
DISC = np.eye(4, dtype=np.int32)
CELL_CROPS = (
    CONFIG.replace('"flows"', '"cell-crops"')
    .replace("crop_px = 64, widths = [4, 8]", "crop_px = 32, widths = [4, 8], dimension_count = 4")
    .replace("steps = 8", "steps = 2")
)


def image(name: str, group: str, kind: str, labels: np.ndarray = DISC) -> Prepared:
    return Prepared(name, group, kind, np.zeros((4, 4, 3), np.uint8), labels, np.zeros((4, 4, 2), np.int8),
                    np.zeros((1, 3), np.uint8), (4, 4))  # fmt: skip


def names(train: list[Prepared]) -> set[str]:
    return {one.key for one in train}


def test_parts_are_nested_and_of_whole_groups_of_each_kind_in_turn() -> None:
    train = [image(f"{kind}{group}{n}", f"{kind}{group}", kind) for kind in "ab" for group in range(4) for n in "xy"]
    parts = curve.parts(train, [9, 1, 4, 99, 2], seed=3)
    assert [len(part) for part in parts] == [2, 4, 10]
    assert names(parts[0]) < names(parts[1]) < names(parts[2]) < names(train)
    assert [{one.kind for one in part} for part in parts] == [{"a"}, {"a", "b"}, {"a", "b"}]
    for part in parts:
        assert all(sum(one.group == other.group for other in part) == 2 for one in part)
    assert parts != curve.parts(train, [1, 2, 4, 9], seed=4)


def test_a_part_without_objects_is_no_part() -> None:
    train = [image("1", "1", "a", BLANK), image("2", "2", "a", BLANK), image("3", "3", "a"), image("4", "4", "a")]
    for seed in range(8):
        assert all(any(one.object_count for one in part) for part in curve.parts(train, [1], seed))


def test_less_than_one_image_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="one image or more"):
        curve.parts([image("1", "1", "a")], [0], 0)


@pytest.mark.parametrize("text", [CONFIG, CELL_CROPS], ids=["flows", "cell-crops"])
def test_a_curve_is_measured_once_and_shown(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MORULA_DATA", raising=False)
    config = write_discs(tmp_path / "discs")
    config.write_text(text.replace("[[sources]]", "[shares]\nmine = 2.0\n\n[[sources]]", 1))
    folder = tmp_path / "run"
    said: list[str] = []
    run.train(config, folder, said.append, counts=[1, 2, 2])
    points = json.loads((folder / "tiny.curve.json").read_text())
    assert [(one["image_count"], one["group_count"], one["object_count"]) for one in points] == [
        (1, 1, 9),
        (2, 2, 18),
        (4, 4, 36),
    ]
    assert all(0 <= one[name] <= 1 for one in points for name in ("watched", "tested"))
    card = json.loads((folder / "tiny.json").read_text())
    assert card["curve"] == points
    assert card["images"]["train"]["mine"]["images"] == 4
    assert "| 2 | 2 | 18 |" in (folder / "tiny.md").read_text()
    drawn = (folder / "tiny.curve.svg").read_text()
    assert drawn.count("<polyline") == 2
    assert ">4</text>" in drawn

    def never(*_: object) -> Outcome:
        raise AssertionError("a finished point is learned again")

    told = read_config(config)
    sets, _ = run.prepared_sets(told, config.parent, folder, said.append)
    again = curve.learn_points(told, sets, config.parent, folder, [1, 2], never, said.append)
    assert again is not None
    assert [asdict(point) for point in again] == points[:2]
    with pytest.raises(AssertionError, match="learned again"):
        curve.learn_points(told, sets, config.parent, folder, [3], never, said.append)
