"""The published accuracy against its formulas, written out plainly for one tile after another."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from morula.evaluator import paper
from morula.evaluator.cells import Cells, Part

Entry = tuple[str, str, int, int]
"""Slide, tile, human label, cluster."""


def plainly(entries: list[Entry]) -> dict[str, Any]:
    """As the published system does it, from dictionaries."""
    by_tile: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for slide, tile, human, model in entries:
        by_tile[slide, tile].append((human, model))
    tiles, matches = {}, 0
    for key, pairs in by_tile.items():
        humans, models = sorted({h for h, _ in pairs}), sorted({m for _, m in pairs})
        side = max(len(humans), len(models))
        cost = np.zeros((side, side), dtype=int)
        for human, model in pairs:
            cost[models.index(model), humans.index(human)] += 1
        mapping = {
            models[row]: humans[column] if column < len(humans) else "?"
            for row, column in zip(*linear_sum_assignment(-cost), strict=True)
            if row < len(models)
        }
        aligned = [mapping[model] for _, model in pairs]
        right = sum(human == one for (human, _), one in zip(pairs, aligned, strict=True))
        matrix = [[0] * len(humans) for _ in humans]
        for (human, _), one in zip(pairs, aligned, strict=True):
            if one != "?":
                matrix[humans.index(human)][humans.index(one)] += 1
        matches += right
        tiles[key] = {
            "n_cells": len(pairs),
            "accuracy": round(right / len(pairs), 4),
            "labels": [str(human) for human in humans],
            "matrix": matrix,
        }
    return {"accuracy": round(matches / len(entries), 4), "tiles": tiles}


def cells_of(entries: list[Entry]) -> Cells:
    slides, tiles, humans, models = zip(*entries, strict=True)
    return Cells(Part.of(humans), np.asarray(models, np.int64), slide=Part.of(slides), tile=Part.of(tiles))


def check(entries: list[Entry]) -> None:
    ours, theirs = paper.score(cells_of(entries)), plainly(entries)
    told = {
        (tile["slide"], tile["tile"]): {
            "n_cells": tile["n_cells"],
            "accuracy": tile["accuracy"],
            "labels": tile["confusion_matrix"]["labels"],
            "matrix": tile["confusion_matrix"]["matrix"],
        }
        for tile in ours["tiles"]
    }
    assert (ours["accuracy"], told) == (theirs["accuracy"], theirs["tiles"])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b"]), st.sampled_from(["1", "2", "10"]), st.integers(0, 11), st.integers(-1, 12)
        ),
        min_size=1,
        max_size=60,
    )
)
def test_every_tile_is_as_the_published_formulas_have_it(entries: list[Entry]) -> None:
    check([*entries, *entries[:3]])


@pytest.mark.parametrize(
    ("pairs", "accuracy"),
    [
        ([(0, 5)] * 95 + [(1, 5)] * 5, 0.95),
        ([(0, -1)] * 95 + [(1, -1)] * 5, 0.95),
        ([(0, 1)] * 50 + [(0, 2)] * 50 + [(1, 3)] * 50 + [(1, 4)] * 50, 0.5),
        ([(0, number) for number in range(10)], 0.1),
        ([(0, 1), (1, 1), (0, 2), (1, 2)], 0.5),
        ([(0, 1), (0, 1), (1, 2)], 1.0),
        ([(0, 1)], 1.0),
    ],
    ids=["one cluster", "all noise", "pure but too many", "each by itself", "ties", "doubled", "one cell"],
)
def test_edges_are_as_published(pairs: list[tuple[int, int]], accuracy: float) -> None:
    entries = [("s", "t", human, model) for human, model in pairs]
    check(entries)
    assert paper.score(cells_of(entries))["accuracy"] == accuracy


def test_a_cluster_may_mean_another_class_in_another_tile() -> None:
    entries: list[Entry] = [("s", "a", 0, 7)] * 10 + [("s", "b", 1, 7)] * 10
    check(entries)
    assert paper.score(cells_of(entries))["accuracy"] == 1.0


def test_parts_weigh_cells_and_cells_of_surplus_clusters_stand_beside_the_matrix() -> None:
    entries: list[Entry] = [("s", "a", 0, 1)] * 6 + [("s", "a", 0, 2)] * 2 + [("s", "b", 1, 1)] * 2 + [("t", "a", 0, 1)]
    batch, tissue = ["1"] * 8 + ["2"] * 3, ["skin"] * 10 + ["bone"]
    made = cells_of(entries)
    told = paper.score(
        Cells(made.truth, made.cluster, slide=made.slide, tile=made.tile, batch=Part.of(batch), tissue=Part.of(tissue))
    )
    assert [(one["batch"], one["n_cells"], one["n_tiles"], one["accuracy"]) for one in told["batches"]] == [
        ("1", 8, 1, 0.75),
        ("2", 3, 2, 1.0),
    ]
    assert [(one["n_human_clusters"], one["n_model_clusters"]) for one in told["batches"]] == [(1, 2), (2, 1)]
    assert [(one["name"], one["accuracy"]) for one in told["tissues"]] == [("bone", 1.0), ("skin", 0.8)]
    assert told["confusion"] == {"labels": ["0", "1"], "matrix": [[7, 0], [0, 2]], "?": [2, 0]}
    assert (told["accuracy"], told["constant"]) == (round(9 / 11, 4), 1.0)
