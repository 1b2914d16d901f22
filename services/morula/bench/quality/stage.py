"""The table of the stage: every way of working on every set, and what ours wins against each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from morula.bench import paired
from morula.bench.annotator import Moment
from morula.bench.cohort import data_folder
from morula.bench.quality.described import WEIGHTS, Known, describe
from morula.bench.quality.others import Layers, board, check, found_by
from morula.bench.quality.others import cases as others_cases
from morula.bench.quality.sets import SOURCES, Source
from morula.bench.quality.ways import CEILING, MOMENTS, OURS, PUBLISHED, ROWS, Tables, clustered, tables
from morula.bench.report import Case, Report
from morula.clusterer import plain
from morula.clusterer.core import Clustered
from morula.common.clustering import UMAP_DBSCAN, missing
from morula.common.formats import NOISE_LEAF

RARE_AT: Moment = (40, "clicks")
HOW = (
    "Labels are of half of the groups, figures of the other half, mean of five halves; clusters are of all cells.",
    "A click is a page named or accepted, a cell of it corrected, a cluster named, or a single cell labelled.",
    "In seconds these are 8 (5 accepted), 2, 8 and 3. Intervals are of 95 %, in pairs, groups drawn again.",
    "In `network only` and `paper` ImageNet's MobileNetV2 stands for ResNet-50, whose weights are not here.",
)


def run(others: Sequence[str] = ()) -> Report:
    """Every set that lies in the folder of optional data, and the painted slide; other ways to cluster where named."""
    check(others)
    data = data_folder()
    there = [source for source in SOURCES if not source.needs or (data / source.needs).is_dir()]
    left_out = [f"{one.name}, for there is no {data / one.needs}" for one in SOURCES if one not in there]
    names, why = rows_that_can(data)
    known = {source.name: describe(list(source.pictures(data)), data) for source in there}
    found = {name: found_by(name, known) for name in others}
    cases: list[Case] = []
    said = list(HOW)
    for source in there:
        layers = {name: of_sets[source.name] for name, of_sets in found.items()}
        figures, words = judged(source, known[source.name], names, layers)
        cases, said = [*cases, *figures], [*said, *words]
    return Report("quality", cases, (*left_out, *why), tuple(said))


def rows_that_can(data: Path) -> tuple[list[str], list[str]]:
    """Rows of the table that can be filled here, and in words which cannot."""
    without: dict[str, str] = {}
    if packages := missing(UMAP_DBSCAN):
        without[PUBLISHED] = f"{' and '.join(packages)} are not installed"
    if not (weights := data / "weights" / WEIGHTS).is_file():
        without |= dict.fromkeys(("network only", PUBLISHED), f"there is no {weights}")
    return [name for name in ROWS if name not in without], [f"{name}, for {why}" for name, why in without.items()]


def judged(
    source: Source, known: Known, names: Sequence[str], others: Mapping[str, Layers] | None = None
) -> tuple[list[Case], list[str]]:
    """All figures of one set, and what they say."""
    layers = others or {}
    of_vectors = {name: clustered(known, name) for name in names if ROWS[name].vectors != OURS or name == OURS}
    boards = {f"pages of {name}'s clusters": board(known.features[OURS], one) for name, one in layers.items()}
    made = of_vectors | boards
    found = {name: tables(known, ROWS.get(name, ROWS[OURS]), made.get(name, made[OURS])) for name in [*names, *boards]}
    differences = list(_differences(found))
    cases = [
        Case("cells", len(known.classes), "cells"),
        Case("groups", known.group_count, f"{source.group}s"),
        *_reached(found),
        *_recall(found, known),
        *(Case(f"{name}: clusters against classes", _agreement(one, known), "AMI") for name, one in of_vectors.items()),
        *(others_cases(known, made[OURS], layers) if layers else ()),
        *(case for _, _, case in differences),
    ]
    named = [Case(f"{source.name}: {case.name}", case.value, case.unit, interval=case.interval) for case in cases]
    return named, _in_words(source.name, differences)


def _reached(found: Mapping[str, Tables]) -> Iterator[Case]:
    for name, of_moments in found.items():
        for (count, unit), counts in of_moments.items():
            mean = float(np.mean([paired.macro_f1(table.sum(axis=0)) for table in counts]))
            yield Case(f"{name} at {count} {unit}", round(mean, 4), "macro-F1")


def _recall(found: Mapping[str, Tables], known: Known) -> Iterator[Case]:
    count, unit = RARE_AT
    rare = known.rarest
    for name, of_moments in found.items():
        summed = np.sum([table.sum(axis=0)[rare] for table in of_moments[RARE_AT]], axis=0)
        share = float(summed[rare] / max(summed.sum(), 1))
        yield Case(f"{name}: {known.words[rare - 1]} found at {count} {unit}", round(share, 4), "recall")


def _agreement(made: Clustered, known: Known) -> float:
    nodes = np.asarray([*made.tree.node_of_leaf(made.tree.cluster_count), 0], np.int64)
    clusters = nodes[np.where(made.leaf == NOISE_LEAF, len(nodes) - 1, made.leaf.astype(np.int64))]
    return round(plain.adjusted_mutual_information(clusters, known.classes), 4)


def _differences(found: Mapping[str, Tables]) -> Iterator[tuple[str, Moment, Case]]:
    for rival, theirs in found.items():
        for moment in MOMENTS if rival not in (OURS, CEILING) else ():
            gain = paired.difference(found[OURS][moment], theirs[moment])
            title = f"{OURS} minus {rival} at {moment[0]} {moment[1]}"
            yield rival, moment, Case(title, round(gain.mean, 4), "macro-F1", interval=gain.interval)


def _in_words(name: str, differences: Sequence[tuple[str, Moment, Case]]) -> list[str]:
    """Against whom ours wins, where it does not, and where it loses."""
    found: dict[str, dict[str, list[Moment]]] = {"above": {}, "BELOW": {}, "not told from": {}}
    for rival, moment, case in differences:
        low, high = case.interval or (0.0, 0.0)
        word = "above" if low > 0 else "BELOW" if high < 0 else "not told from"
        found[word].setdefault(rival, []).append(moment)
    return [
        f"{name}: {OURS} is {word} {'; '.join(f'{rival} {_at(moments)}' for rival, moments in of_rivals.items())}."
        for word, of_rivals in found.items()
        if of_rivals
    ]


def _at(moments: Sequence[Moment]) -> str:
    if len(moments) == len(MOMENTS):
        return "throughout"
    counts = {unit: [str(count) for count, one in moments if one == unit] for unit in ("clicks", "s")}
    return "at " + ", ".join(f"{'/'.join(some)} {unit}" for unit, some in counts.items() if some)
