"""`morula score segmentation`: label images of plain images against those of people."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morula.evaluator.boundaries import distances_px
from morula.evaluator.shape_scores import Tally, intervals, plain, weights_of
from morula.evaluator.shapes import Overlap, overlap
from morula.onebox.failures import WrongUse
from morula.onebox.images import find_images, read_labels

ALL = "all"


@dataclass(frozen=True)
class GroupScores:
    """Scores of a group of images: values, the same with intervals, and minus another prediction where there is one."""

    values: dict[str, float]
    intervals: dict[str, Any]
    difference: dict[str, Any]


@dataclass
class _Images:
    """Images of one group, and what they are drawn with."""

    drawn_with: list[str] = field(default_factory=list)
    pairs: list[Overlap] = field(default_factory=list)
    distances_px: list[NDArray[np.float64]] = field(default_factory=list)
    annotators: list[Overlap] = field(default_factory=list)
    rivals: list[Overlap] = field(default_factory=list)
    rivals_px: list[NDArray[np.float64]] = field(default_factory=list)

    def numbers(self) -> GroupScores:
        weights, count = weights_of(self.drawn_with), len(self.pairs)
        found = Tally.of(self.pairs, self.distances_px).drawn(weights)
        if self.annotators:
            between = Tally.of(self.annotators).drawn(weights)["error_rate"]
            found |= {"annotators_error_rate": between, "consensus_bound": between / 2}
        difference: dict[str, Any] = {}
        if self.rivals:
            other = Tally.of(self.rivals, self.rivals_px).drawn(weights)
            difference = intervals(
                {name: found[name] - values for name, values in other.items() if name in found}, count
            )
        return GroupScores(plain(found), intervals(found, count), difference)


def score(
    truth: Path, prediction: Path, index: Path | None, second: Path | None = None, against: Path | None = None
) -> dict[str, GroupScores]:
    """Scores of all images, and of each modality where an index names them; every truth needs its prediction.

    `second` are images of another annotator: half of how far the two are apart is the least error that can be told.
    `against` is another prediction. Intervals are over images, or what the index calls their `group`.
    """
    expected, predictions = _by_stem(truth), _by_stem(prediction)
    others, rivals = (_by_stem(folder) if folder else {} for folder in (second, against))
    _check_there(expected, predictions, "prediction")
    for folder, found, what in ((second, others, "second truth"), (against, rivals, "other prediction")):
        if folder:
            _check_there(expected, found, what)
    rows = _rows(index) if index else {}
    groups = {ALL: _Images()}
    for stem, path in expected.items():
        true = read_labels(path)
        row = rows.get(stem, {})
        read = partial(_read_like, true, words=f"{stem}: truth is {true.shape},")
        predicted = read(predictions[stem])
        between = [overlap(true, read(others[stem]))] if second else []
        rival = [read(rivals[stem])] if against else []
        for name in [ALL, row.get("modality", "not in the index")] if index else [ALL]:
            images = groups.setdefault(name, _Images())
            images.drawn_with.append(row.get("group") or stem)
            images.pairs.append(overlap(true, predicted))
            images.distances_px.append(distances_px(true, predicted))
            images.annotators += between
            images.rivals += [overlap(true, one) for one in rival]
            images.rivals_px += [distances_px(true, one) for one in rival]
    return {name: images.numbers() for name, images in groups.items()}


def _by_stem(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in find_images([folder])}


def _check_there(expected: Mapping[str, Path], found: Mapping[str, Path], what: str) -> None:
    if missing := sorted(set(expected) - set(found)):
        raise WrongUse(f"{len(missing)} images have no {what}, the first is {missing[0]}")


def _read_like(true: NDArray[np.integer], path: Path, words: str) -> NDArray[np.integer]:
    labels = read_labels(path)
    if labels.shape != true.shape:
        raise WrongUse(f"{words} {path} {labels.shape}")
    return labels


def _rows(index: Path) -> dict[str, dict[str, str]]:
    """Rows of the index by the stem of their image."""
    with index.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"id", "modality"} <= rows[0].keys():
        raise WrongUse(f"{index} has no columns id and modality")
    return {Path(row["id"]).stem: row for row in rows}
