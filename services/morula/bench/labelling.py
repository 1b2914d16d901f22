"""`morula bench labelling`: what a minute of an annotator's time is worth, how long a key waits for a model, whether
what is said of labels is true, and whether "no structure" can be said.

A simulated annotator labels cells of half of the patients of a cohort, by four ways of working and one clock; macro-F1
is that on the other patients' cells.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from morula.bench import claims, keystroke, nulls
from morula.bench.annotator import WAYS, Task
from morula.bench.cohort import CLASSES, Cohort, load
from morula.bench.report import Case, Report
from morula.clusterer import core, features
from morula.common.models import find

SPLITS = 5
TIMES_S = (60, 120, 180, 300)
BOUND_AT_S = 120
NULL_DRAWS = 20
NEIGHBOURS = 8


def run() -> Report:
    """All figures of the stage."""
    return Report("labelling", [*_on_the_clock(load()), *keystroke.cases(), *claims.cases(), *_structure()])


def _structure() -> list[Case]:
    return [
        Case("structure_found_in_40_nulls", nulls.found_in_nulls(NULL_DRAWS), "draws", "<=2"),
        Case("structure_found_in_20_mixtures", nulls.found_in_mixtures(NULL_DRAWS), "draws", ">=16"),
    ]


def _on_the_clock(cohort: Cohort) -> list[Case]:
    tasks = [task_of(cohort, seed) for seed in range(SPLITS)]
    scores = {name: [way(task, TIMES_S) for task in tasks] for name, way in WAYS.items()}
    mean = {
        (name, time): round(float(np.mean([reached[time] for reached in runs])), 4)
        for name, runs in scores.items()
        for time in TIMES_S
    }
    beaten = f">={mean['random_singles', BOUND_AT_S]}"
    cases = [
        Case(f"{name}_at_{time}_s", value, "macro-F1", beaten if (name, time) == ("pages", BOUND_AT_S) else None)
        for (name, time), value in mean.items()
    ]
    everything = [task.score_of_model(np.arange(len(task.truth))) for task in tasks]
    constant = [task.score(np.full(len(task.other_truth), _commonest(task.truth))) for task in tasks]
    return [
        *cases,
        Case("all_labels", round(float(np.mean(everything)), 4), "macro-F1"),
        Case("constant", round(float(np.mean(constant)), 4), "macro-F1"),
        Case("points_with_a_cell", round(cohort.match_rate, 4), "share"),
        Case("cells_with_a_point", round(float((cohort.classes > 0).mean()), 4), "share"),
    ]


def task_of(cohort: Cohort, seed: int) -> Task:
    """Half of the patients to label, the other half to be judged on."""
    matrix = features_of(cohort)
    patients = np.random.default_rng(seed).permutation(int(cohort.patient.max()) + 1)
    mine = np.isin(cohort.patient, patients[: len(patients) // 2])
    names = find("morphology", "embedder").columns
    own = features.Features(matrix[mine], names, len(names), None)
    return Task(
        clustered=core.cluster(own, core.Params(seed=seed)),
        matrix=matrix[mine],
        truth=cohort.classes[mine],
        groups=cohort.patient[mine],
        other_matrix=matrix[~mine],
        other_truth=cohort.classes[~mine],
        seed=seed,
    )


def features_of(cohort: Cohort) -> NDArray[np.float16]:
    """As the clusterer makes them of slides; here a field is a slide."""
    spec = find("morphology", "embedder")
    scale = features.Scale(spec.columns, spec.location, spec.scale)
    slides = [
        features.SlideVectors(cohort.vectors[rows], cohort.x_um[rows], cohort.y_um[rows])
        for rows in (np.flatnonzero(cohort.field == number) for number in range(int(cohort.field.max()) + 1))
    ]
    return features.build(slides, scale, NEIGHBOURS).matrix


def _commonest(truth: NDArray[np.int64]) -> int:
    return int(np.bincount(truth[truth > 0], minlength=len(CLASSES) + 1).argmax())
