"""`morula bench labelling`: what a minute of an annotator's time is worth, how long a key waits for a model, whether
what is said of labels is true, and whether "no structure" can be said.

A simulated annotator labels cells of half of the patients of a cohort, by four ways of working and one clock; macro-F1
is that on the other patients' cells.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from morula.bench import claims, keystroke, labelled, nulls, paired
from morula.bench.annotator import WAYS, Moment, Task
from morula.bench.cohort import load
from morula.bench.labelled import Labelled
from morula.bench.paired import Counts
from morula.bench.report import Case, Report
from morula.clusterer import core, leaves

SPLITS = 5
TIMES_S = (60, 120, 180, 300)
OURS = "pages"
NULL_DRAWS = 20


def run(vectors: Path | None = None, truth: Path | None = None) -> Report:
    """All figures of the stage, or those on the clock with vectors and truth of somebody's own."""
    if vectors is not None and truth is not None:
        return Report("labelling", _on_the_clock(labelled.read(vectors, truth)))
    cohort = load()
    return Report(
        "labelling",
        [
            *_on_the_clock(labelled.of_cohort(cohort)),
            Case("points_with_a_cell", round(cohort.match_rate, 4), "share"),
            Case("cells_with_a_point", round(float((cohort.classes > 0).mean()), 4), "share"),
            *keystroke.cases(),
            *claims.cases(),
            *_structure(),
        ],
    )


def _structure() -> list[Case]:
    return [
        Case("structure_found_in_40_nulls", nulls.found_in_nulls(NULL_DRAWS), "draws", "<=2"),
        Case("structure_found_in_20_mixtures", nulls.found_in_mixtures(NULL_DRAWS), "draws", ">=16"),
    ]


def _on_the_clock(cells: Labelled) -> list[Case]:
    tasks = [task_of(cells, seed) for seed in range(SPLITS)]
    moments: tuple[Moment, ...] = tuple((time, "s") for time in TIMES_S)
    reached = {name: [way(task, moments) for task in tasks] for name, way in WAYS.items()}
    tables = {
        (name, time): [_counts(cells, task, given[time, "s"]) for task, given in zip(tasks, runs, strict=True)]
        for name, runs in reached.items()
        for time in TIMES_S
    }
    mean = {key: _mean(found) for key, found in tables.items()}
    everything = [_counts(cells, task, task.given_by_model(np.arange(len(task.truth)))) for task in tasks]
    constant = [_counts(cells, task, np.full(len(task.other_truth), _commonest(task))) for task in tasks]
    return [
        *(
            Case(f"{name}_at_{time}_s", value, "macro-F1", f">={_best(mean, time)[1]}" if name == OURS else None)
            for (name, time), value in mean.items()
        ),
        *(_against_the_best(tables, mean, time) for time in TIMES_S),
        Case("all_labels", _mean(everything), "macro-F1"),
        Case("constant", _mean(constant), "macro-F1"),
    ]


def _against_the_best(
    tables: dict[tuple[str, int], list[Counts]], mean: dict[tuple[str, int], float], time: int
) -> Case:
    """By how much pages are above the best of the others, and the interval of that."""
    best, _ = _best(mean, time)
    gain = paired.difference(tables[OURS, time], tables[best, time])
    return Case(f"{OURS} minus {best} at {time} s", round(gain.mean, 4), "macro-F1", interval=gain.interval)


def _best(mean: dict[tuple[str, int], float], time: int) -> tuple[str, float]:
    """The best of the other ways by then, and what it reached."""
    return max(((name, mean[name, time]) for name in WAYS if name != OURS), key=lambda one: one[1])


def _counts(cells: Labelled, task: Task, given: labelled.Rows) -> Counts:
    return paired.counted(task.other_truth, given, task.other_groups, cells.class_count, cells.patient_count)


def _mean(tables: list[Counts]) -> float:
    return round(float(np.mean([paired.macro_f1(table.sum(axis=0)) for table in tables])), 4)


def task_of(cells: Labelled, seed: int) -> Task:
    """Half of the patients to label, the other half to be judged on."""
    patients = np.random.default_rng(seed).permutation(cells.patient_count)
    mine = np.isin(cells.patient, patients[: len(patients) // 2])
    matrix = cells.built.matrix
    clustered = core.cluster(replace(cells.built, matrix=matrix[mine]), core.Params(seed=seed))
    found = leaves.assign(matrix[~mine], core.leaf_model(matrix[mine], clustered.leaf, clustered.tree))
    return Task(
        clustered=clustered,
        matrix=matrix[mine],
        truth=cells.classes[mine],
        groups=cells.patient[mine],
        other_matrix=matrix[~mine],
        other_leaf=found.leaf,
        other_truth=cells.classes[~mine],
        other_groups=cells.patient[~mine],
        seed=seed,
    )


def _commonest(task: Task) -> int:
    return int(np.bincount(task.truth[task.truth > 0]).argmax())
