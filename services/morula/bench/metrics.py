"""What metrics reward: clusterings whose worth is known, and what each number says of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from morula.bench import evaluation_growth, published
from morula.bench.report import Case, Report
from morula.evaluator.cells import Cells, Match, Part
from morula.evaluator.core import Wanted, evaluate

CLASSES = ("tumour", "stroma", "lymphocyte", "plasma cell")
SHARES = (0.85, 0.10, 0.04, 0.01)
SLIDES, TILES, TILE_CELLS = 10, 10, 100
PURE_CLUSTERS = (12, 7, 4, 3)
"""Of each class: 26 in all, every one of a single class."""
SHOWN = {
    "macro_f1": "macro-F1",
    "accuracy": "accuracy",
    "area_macro_f1": "mean macro-F1 over clicks",
    "macro_f1_of_the_way": "macro-F1, of the way",
    "slide_hungarian": "one to one, by slide",
    "purity": "purity",
    "ami": "AMI",
}
CONSTANT, PURE, ERRANT, CHANCE = (
    "one cluster for all",
    "26 pure clusters",
    "26 clusters, a tenth astray",
    "26 at random",
)
BOUNDS = {
    (CONSTANT, "as published"): ">=0.84",
    (CONSTANT, "macro_f1"): "<=0.25",
    (CONSTANT, "macro_f1_of_the_way"): "<=0.01",
    (PURE, "as published"): "<=0.2",
    (PURE, "macro_f1"): ">=0.99",
    (PURE, "macro_f1_of_the_way"): ">=0.99",
}
SAID = (
    "By the published number one cluster for all is worth five times what a perfect result is worth.",
    "Named on one part and scored on the rest, the perfect result is perfect, and the constant is where it began.",
    "Of the published layout, batches 1 and 3 have one cluster: their accuracies are a constant's.",
)

Ints = NDArray[np.int64]


def run(cells: int | None = None) -> Report:
    """The study on drawn cells and the published tables' layout, or what an evaluation of so many cells needs."""
    if cells is not None:
        with tempfile.TemporaryDirectory() as folder:
            return Report("metrics", evaluation_growth.cases(cells, Path(folder)))
    truth, slide, tile = drawn()
    cases: list[Case] = []
    for name, cluster in clusterings(truth).items():
        named = Cells(Part(truth, CLASSES), cluster, slide=Part.of(slide), tile=Part.of(tile))
        cases += _of_clustering(name, evaluated(named))
    return Report("metrics", [*cases, *_of_tables(evaluated(published.cells()))], said=SAID)


def drawn(seed: int = 0) -> tuple[Ints, Ints, Ints]:
    """Classes of cells, as rare as cells are, with their slides and tiles."""
    count = SLIDES * TILES * TILE_CELLS
    truth = np.random.default_rng(seed).choice(len(CLASSES), count, p=SHARES)
    place = np.arange(count) // TILE_CELLS
    return truth, place // TILES, place % TILES


def clusterings(truth: Ints, seed: int = 1) -> dict[str, Ints]:
    """Clusters of which it is known what they are worth."""
    rng = np.random.default_rng(seed)
    counts = np.asarray(PURE_CLUSTERS)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    pure = first[truth] + rng.integers(0, counts[truth])
    chance = rng.integers(0, counts.sum(), len(truth))
    astray = rng.random(len(truth)) < 0.1
    return {
        CONSTANT: np.ones(len(truth), np.int64),
        PURE: 1 + pure,
        ERRANT: 1 + np.where(astray, chance, pure),
        CHANCE: 1 + chance,
    }


def evaluated(cells: Cells) -> dict[str, Any]:
    return evaluate(cells, Match(len(cells), len(cells), "row"), Wanted())


def _of_clustering(name: str, found: dict[str, Any]) -> Iterator[Case]:
    yield Case(f"{name}: as published", found["paper"]["accuracy"], "", BOUNDS.get((name, "as published")))
    for key, words in SHOWN.items():
        yield _case(f"{name}: {words}", found["honest"][key], BOUNDS.get((name, key)))


def _of_tables(found: dict[str, Any]) -> Iterator[Case]:
    paper = found["paper"]
    for one in paper["batches"]:
        yield Case(f"published layout, batch {one['batch']}: accuracy", one["accuracy"], "")
        yield Case(f"published layout, batch {one['batch']}: a constant", one["constant"], "")
    yield Case("published layout: accuracy", paper["accuracy"], "", ">=0.9675")
    yield Case("published layout: a constant", paper["constant"], "", f">={paper['accuracy']}")
    yield _case("published layout: AMI", found["honest"]["ami"])


def _case(name: str, number: dict[str, Any], bound: str | None = None) -> Case:
    interval = None if number["low"] is None else (number["low"], number["high"])
    return Case(name, number["value"], "", bound, interval)
