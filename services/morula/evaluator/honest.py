"""Numbers that cannot be flattered, each with its interval and beside what costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from sklearn.preprocessing import StandardScaler

from morula.evaluator import confidence, naming
from morula.evaluator.cells import Cells, Ints, Part
from morula.evaluator.draws import LEVEL, Drawn, Groups, numbers
from morula.evaluator.measures import Measured, Setting, ceiling, of_clusters, of_given, of_singles, of_the_way

Step = Callable[[str], None]
NO_INTERVAL = "neither several slides nor several tiles are known: there are no intervals"
APART = (
    "clusters of each slide are its own: they are named on some of its tiles, or of a slide of one tile on some of its "
    "cells, and scored on the others; baselines have clusters of each slide, too"
)
FEW_GROUPS = 5
STREAM = 20_260_410
CEILINGS = {True: "a linear model of all labels outside of each fold", False: "every cell right"}


def measure(cells: Cells, setting: Setting, step: Step) -> dict[str, Any]:
    """All of it, as JSON takes it. `step` hears what begins."""
    truth, groups = cells.truth.codes, setting.groups
    step("clusters")
    ours = of_clusters(truth, cells.clusters, cells.is_noise, setting)
    rivals = dict(_baselines(cells, ours.cluster_count, setting, step))
    step("ceiling")
    top = ceiling(cells, setting)
    constant = rivals["constant"]
    step("parts")
    return {
        "interval": {
            "over": groups.over,
            "group_count": groups.drawn_count,
            "draw_count": groups.draw_count,
            "level": LEVEL,
        },
        "fold_count": groups.fold_count,
        "cluster_count": ours.cluster_count,
        **_told(ours, constant, top, len(cells)),
        "ceiling": {"of": CEILINGS[cells.vectors is not None], **numbers(top, len(cells))},
        "curve": list(_curve(ours, len(cells))),
        "noise": _noise(cells, ours, constant, top, setting),
        **_confidence(cells, ours, setting),
        "rare_classes": [cells.truth.names[code] for code in setting.rare.tolist()],
        "classes": list(_classes(cells.truth, ours, constant)),
        **{plural: list(_parts(part, truth, ours, constant, setting)) for plural, part in _divided(cells)},
        "confusion": _confusion(cells.truth, ours),
        "baselines": {
            name: {
                "cluster_count": one.cluster_count,
                **_told(one, constant, top, len(cells)),
                "curve": list(_curve(one, len(cells))),
            }
            for name, one in rivals.items()
        },
    }  # fmt: skip


def remarks(groups: Groups) -> list[str]:
    """What a reader of the intervals has to know."""
    if groups.over == "none":
        return [NO_INTERVAL]
    said = []
    if groups.drawn_count < groups.count:
        said.append(APART)
    if groups.over == "within this slide":
        said.append("there is one slide: intervals are over its tiles, and say nothing of other slides")
    if (count := groups.drawn_count) < FEW_GROUPS:
        said.append(f"intervals are over {count} {'slides' if groups.over == 'slides' else 'tiles'}: rough")
    return said


def _baselines(cells: Cells, cluster_count: int, setting: Setting, step: Step) -> Iterator[tuple[str, Measured]]:
    truth, none = cells.truth.codes, np.zeros(len(cells), bool)
    count = max(1, cluster_count)
    step("constant")
    yield "constant", of_clusters(truth, cells.base, none, setting)
    step("random")
    # A stream of its own: whoever drew the truth may have begun with the same seed.
    drawn = np.random.default_rng([setting.seed, STREAM]).integers(0, _counts(cells), len(cells))
    yield "random", of_clusters(truth, cells.base * count + drawn, none, setting)
    step("singles")
    yield "singles", of_singles(cells, count, setting)
    if cells.morphology is not None:
        step("morphology")
        clusters = cells.base * count + grouped(cells.morphology, count, setting.seed)
        yield "morphology", of_clusters(truth, clusters, none, setting)


def _counts(cells: Cells) -> Ints:
    """As many clusters as there are where each cell lies: in all, or in its slide."""
    pairs = np.unique(np.column_stack([cells.base, cells.cluster])[~cells.is_noise], axis=0)
    return np.maximum(np.bincount(pairs[:, 0], minlength=int(cells.base.max()) + 1), 1)[cells.base]


def grouped(table: NDArray[np.floating], count: int, seed: int) -> Ints:
    """Rows in so many clusters, by k-means of columns of one scale."""
    scaled = StandardScaler().fit_transform(np.asarray(table, np.float32))
    model = MiniBatchKMeans(min(count, len(scaled)), random_state=seed, n_init=1)
    return np.asarray(model.fit_predict(scaled), np.int64)


def _told(one: Measured, constant: Measured, top: Drawn, n: int) -> dict[str, Any]:
    ends = {**top, "area_accuracy": top["accuracy"], "area_macro_f1": top["macro_f1"]}
    return numbers({**one.numbers, **of_the_way(one.numbers, constant.numbers, ends)}, n)


def _curve(one: Measured, n: int) -> Iterator[dict[str, Any]]:
    for clicks, scores in zip(one.curve.clicks.tolist(), one.curve.scores, strict=True):
        yield {"clicks": clicks, **numbers(scores, n)}


def _noise(cells: Cells, ours: Measured, constant: Measured, top: Drawn, setting: Setting) -> dict[str, Any]:
    """Cells that are in no cluster: as errors, which is what all other numbers here have; as a cluster; left out."""
    none = cells.is_noise
    as_errors = _told(ours, constant, top, len(cells))
    told = {"cell_count": int(none.sum()), "share": round(float(none.mean()), 6), "as_error": as_errors}
    if not none.any():
        return told | {"own_cluster": as_errors, "left_out": as_errors}
    truth = cells.truth.codes
    together = of_clusters(truth, cells.clusters, np.zeros_like(none), setting)
    told["own_cluster"] = _told(together, constant, top, len(cells))
    if none.all():
        return told | {"left_out": None}
    rest, inside = cells.take(~none), setting.of(~none)
    apart = of_clusters(rest.truth.codes, rest.clusters, rest.is_noise, inside)
    plain = of_clusters(rest.truth.codes, rest.base, rest.is_noise, inside)
    return told | {
        "left_out": {
            **_told(apart, plain, top, len(rest)),
            "baselines": {"constant": _told(plain, plain, top, len(rest))},
        }
    }


def _confidence(cells: Cells, ours: Measured, setting: Setting) -> dict[str, Any]:
    if cells.confidence is None:
        return {}
    right, none = ours.given == cells.truth.codes, cells.is_noise
    return {
        "coverage": confidence.coverage(cells.confidence, right, none, setting.groups),
        "calibration": confidence.calibration(cells.confidence, right, none, setting.groups, setting.checkpoint),
    }


def _classes(truth: Part, ours: Measured, constant: Measured) -> Iterator[dict[str, Any]]:
    counts = np.bincount(truth.codes, minlength=len(truth.names))
    for code in np.flatnonzero(counts).tolist():
        n = counts[code]
        own, plain = (numbers({name: of[:, code] for name, of in one.classes.items()}, n) for one in (ours, constant))
        yield {"class": truth.names[code], **own, "baselines": {"constant": plain}}


def _divided(cells: Cells) -> Iterator[tuple[str, Part]]:
    named = {"slides": cells.slide, "batches": cells.batch, "tissues": cells.tissue, "species": cells.species}
    for plural, part in named.items():
        if part is not None:
            yield plural, part


def _parts(part: Part, truth: Ints, ours: Measured, constant: Measured, setting: Setting) -> Iterator[dict[str, Any]]:
    """Accuracy and macro-F1 of each part; of one slide there is no interval over slides."""
    order = np.argsort(part.codes, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(part.codes[order])) + 1):
        setting.checkpoint()
        inside = setting.of(rows)
        if len(np.unique(inside.groups.drawn[inside.groups.of_cell])) < 2:
            inside = replace(inside, groups=inside.groups.undrawn())
        told, beside = (_scored(truth[rows], one.given[rows], inside) for one in (ours, constant))
        yield {"name": part.names[part.codes[rows[0]]], **told, "baselines": {"constant": beside}}


def _scored(truth: Ints, given: Ints, setting: Setting) -> dict[str, Any]:
    drawn = of_given(truth, given, setting, setting.scores)
    return numbers({name: drawn[name] for name in ("accuracy", "macro_f1")}, len(truth))


def _confusion(truth: Part, ours: Measured) -> dict[str, Any]:
    """Rows are the truth, columns the class that each cell got; cells that got none are counted beside."""
    count = len(truth.names)
    columns = np.where(ours.given == naming.UNSEEN, count, ours.given)
    square = np.bincount(truth.codes * (count + 1) + columns, minlength=count * (count + 1)).reshape(count, count + 1)
    return {"labels": list(truth.names), "matrix": square[:, :count].tolist(), "none": square[:, count].tolist()}
