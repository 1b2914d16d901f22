"""Honest numbers against scikit-learn's on the same cells, and their intervals against plain draws of slides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from sklearn import metrics

from morula.common.compute import go_on
from morula.common.errors import InvalidArgument
from morula.evaluator.cells import Cells, Match, Part
from morula.evaluator.core import Wanted, evaluate, setting_of
from morula.evaluator.draws import groups_of, number, numbers
from morula.evaluator.measures import of_clusters
from morula.evaluator.partition import agreement, tabulate

QUICK = Wanted(draws=200)


def drawn(
    count: int = 3000, slides: int = 8, clusters: int = 12, classes: int = 4, noise: float = 0.0, seed: int = 0
) -> Cells:
    """Clusters that say something of very unequal classes."""
    rng = np.random.default_rng(seed)
    shares = 0.5 ** np.arange(classes)
    truth = rng.choice(classes, count, p=shares / shares.sum())
    cluster = np.where(rng.random(count) < 0.8, truth + classes * rng.integers(0, clusters // classes, count), 0) + 1
    cluster[rng.random(count) < noise] = 0
    confidence = np.where(cluster > 0, rng.random(count), 0.0)
    return Cells(
        Part.of(truth),
        cluster.astype(np.int64),
        slide=Part.of(rng.integers(0, slides, count)),
        tile=Part.of(rng.integers(0, 5, count)),
        confidence=confidence,
    )


def evaluated(cells: Cells, wanted: Wanted = QUICK) -> dict[str, Any]:
    return evaluate(cells, Match(len(cells), len(cells), "row"), wanted)


@pytest.mark.parametrize("clusters", [4, 40, 400])
def test_agreement_is_as_scikit_learn_has_it(clusters: int) -> None:
    cells = drawn(clusters=clusters)
    told = evaluated(cells)["honest"]
    truth, cluster = cells.truth.codes, cells.cluster
    expected = {
        "ami": metrics.adjusted_mutual_info_score(truth, cluster),
        "ari": metrics.adjusted_rand_score(truth, cluster),
        "homogeneity": metrics.homogeneity_score(truth, cluster),
        "completeness": metrics.completeness_score(truth, cluster),
        "v_measure": metrics.v_measure_score(truth, cluster),
        "purity": metrics.cluster.contingency_matrix(truth, cluster).max(axis=0).sum() / len(truth),
    }
    assert {name: told[name]["value"] for name in expected} == pytest.approx(expected, abs=2e-6)
    assert told["cluster_count"] == len(np.unique(cluster))


def test_numbers_by_slide_are_as_written_out_plainly() -> None:
    cells = drawn(noise=0.1)
    assert cells.slide is not None
    one, many = 0.0, 0.0
    for slide in range(8):
        inside = (cells.slide.codes == slide) & ~cells.is_noise
        table = metrics.cluster.contingency_matrix(cells.truth.codes[inside], cells.cluster[inside])
        one += table[linear_sum_assignment(-table)].sum()
        many += table.max(axis=0).sum()
    told = evaluated(cells)["honest"]
    assert told["slide_hungarian"]["value"] == pytest.approx(one / len(cells), abs=1e-6)
    assert told["many_to_one"]["value"] == pytest.approx(many / len(cells), abs=1e-6)


def test_clusters_are_named_on_one_part_and_scored_on_the_rest() -> None:
    cells = drawn(noise=0.05)
    groups = groups_of(cells, 5, 0, 0)
    fold, truth = groups.fold_of_cell(), cells.truth.codes
    given = np.full(len(cells), -1)
    for part in range(5):
        for cluster in np.unique(cells.cluster[cells.cluster > 0]):
            outside = (fold != part) & (cells.cluster == cluster)
            inside = (fold == part) & (cells.cluster == cluster)
            given[inside] = np.bincount(truth[outside]).argmax()
    told = evaluated(cells)["honest"]
    assert told["accuracy"]["value"] == pytest.approx(np.mean(given == truth), abs=1e-6)
    f1 = metrics.f1_score(truth, given, labels=np.unique(truth), average="macro", zero_division=0)
    assert told["macro_f1"]["value"] == pytest.approx(f1, abs=1e-6)
    assert np.sum(told["confusion"]["matrix"]) + np.sum(told["confusion"]["none"]) == len(cells)
    assert told["curve"][-1]["accuracy"] == told["accuracy"]


@pytest.mark.parametrize(("clusters", "noise"), [(12, 0.0), (120, 0.1), (1200, 0.0)])
def test_the_curve_is_as_written_out_plainly(clusters: int, noise: float) -> None:
    """The largest clusters outside of a fold are named first; the others wait with the commonest name so far."""
    cells = drawn(1500, clusters=clusters, noise=noise)
    groups = groups_of(cells, 5, 0, 0)
    fold, truth = groups.fold_of_cell(), cells.truth.codes
    curve = evaluated(cells)["honest"]["curve"]
    for point in curve:
        given = np.full(len(cells), -1)
        for part in range(5):
            outside = (fold != part) & ~cells.is_noise
            ids, sizes = np.unique(cells.cluster[outside], return_counts=True)
            named = {
                one: int(np.bincount(truth[outside & (cells.cluster == one)]).argmax())
                for one in ids[np.argsort(-sizes, kind="stable")].tolist()
            }
            first = list(named.values())[: point["clicks"]]
            later = dict.fromkeys(list(named)[point["clicks"] :], int(np.bincount(first).argmax()))
            here = np.flatnonzero((fold == part) & ~cells.is_noise)
            given[here] = [(named | later).get(one, -1) for one in cells.cluster[here].tolist()]
        assert point["accuracy"]["value"] == pytest.approx(np.mean(given == truth), abs=1e-6), point["clicks"]


def test_an_interval_over_slides_holds_what_slides_differ_by() -> None:
    """Half of the slides are right throughout, half in three of four cells: cells are many, slides are few."""
    truth = np.tile([0, 1], 4000)
    slide = np.repeat(np.arange(8), 1000)
    cluster = np.where((slide % 2 == 1) | (np.arange(8000) // 2 % 4 > 0), truth, 1 - truth) + 1
    told = evaluated(Cells(Part.of(truth), cluster, slide=Part.of(slide)), Wanted())["honest"]["accuracy"]
    spread = 1.96 * np.sqrt(0.125**2 / 8)
    assert told["value"] == pytest.approx(0.875, abs=0.01)
    assert told["high"] - told["low"] == pytest.approx(2 * spread, rel=0.2)


@pytest.mark.parametrize("noise", [0.0, 0.4, 1.0])
def test_draws_are_of_the_counts_of_their_slides(noise: float) -> None:
    """Cells in none are clusters of their own, each as often there as its slide."""
    cells = drawn(400, slides=5, noise=noise)
    groups = groups_of(cells, 5, 20, 1)
    table = tabulate(cells.cluster, cells.is_noise, cells.truth.codes, 4, groups)
    found = agreement(table, groups, go_on)
    ids = np.where(cells.is_noise, 1000 + np.arange(len(cells)), cells.cluster)
    for draw, weights in enumerate(groups.weights):
        rows = np.repeat(np.arange(len(cells)), weights[groups.of_cell].astype(int))
        truth, cluster = cells.truth.codes[rows], ids[rows]
        assert found["ari"][draw] == pytest.approx(metrics.adjusted_rand_score(truth, cluster))
        assert found["v_measure"][draw] == pytest.approx(metrics.v_measure_score(truth, cluster))
        named = metrics.cluster.contingency_matrix(truth, cluster)[:, np.unique(cluster) < 1000]
        assert found["purity"][draw] == pytest.approx(named.max(axis=0).sum() / len(rows) if named.size else 0)
        if not noise:
            expected = metrics.adjusted_mutual_info_score(truth, cluster)
            assert found["ami"][draw] == pytest.approx(expected, abs=0.01)


def test_what_costs_nothing_stands_beside_every_number() -> None:
    told = evaluated(drawn())["honest"]
    scalars = {name for name, value in told.items() if isinstance(value, dict) and "value" in value}
    assert {"accuracy", "macro_f1", "area_macro_f1", "purity", "ami", "slide_hungarian"} <= scalars
    for name in ("constant", "random", "singles"):
        beside = told["baselines"][name]
        assert scalars <= beside.keys(), name
    constant, random = told["baselines"]["constant"], told["baselines"]["random"]
    assert constant["ami"]["value"] == constant["accuracy_of_the_way"]["value"] == 0
    assert random["cluster_count"] == told["cluster_count"]
    assert abs(random["ami"]["value"]) < 0.01
    assert told["baselines"]["singles"]["purity"]["value"] == 1
    assert told["accuracy"]["value"] > constant["accuracy"]["value"]


def test_morphology_and_a_linear_model_stand_beside_where_there_are_vectors() -> None:
    cells = drawn(1500)
    rng = np.random.default_rng(3)
    vectors = np.eye(4)[cells.truth.codes] + rng.normal(0, 0.1, (len(cells), 4))
    plain = Cells(cells.truth, cells.cluster, slide=cells.slide)
    told = evaluated(
        Cells(cells.truth, cells.cluster, slide=cells.slide, vectors=vectors, morphology=rng.random((len(cells), 3)))
    )["honest"]
    assert told["ceiling"]["accuracy"]["value"] > 0.99
    assert told["baselines"]["singles"]["area_macro_f1"]["value"] > 0.8
    assert told["baselines"]["morphology"]["ami"]["value"] < 0.05
    assert "morphology" not in evaluated(plain)["honest"]["baselines"]


def test_noise_is_an_error_a_cluster_or_left_out() -> None:
    cells = drawn(noise=0.2)
    told = evaluated(cells)["honest"]
    noise = told["noise"]
    assert noise["cell_count"] == int(cells.is_noise.sum())
    assert noise["as_error"]["accuracy"] == told["accuracy"]
    assert noise["left_out"]["accuracy"]["n"] == int((~cells.is_noise).sum())
    values = [noise[name]["accuracy"]["value"] for name in ("as_error", "own_cluster", "left_out")]
    assert values == sorted(values)
    assert evaluated(drawn())["honest"]["noise"]["left_out"] == evaluated(drawn())["honest"]["noise"]["as_error"]


def test_a_confidence_is_held_to_what_it_says() -> None:
    """Cells are right as often as they are sure."""
    rng = np.random.default_rng(5)
    confidence = rng.uniform(0.5, 1, 20_000)
    truth = rng.integers(0, 2, 20_000)
    is_right = rng.random(20_000) < confidence
    cells = Cells(
        Part.of(truth), np.where(is_right, truth, 1 - truth) + 1, slide=Part.of(np.arange(20_000) % 10),
        confidence=confidence,
    )  # fmt: skip
    told = evaluated(cells)["honest"]
    assert told["calibration"]["error"]["value"] < 0.02
    assert [round(one["coverage"]["value"], 2) for one in told["coverage"]] == [n / 10 for n in range(1, 11)]
    assert told["coverage"][0]["accuracy"]["value"] > 0.95
    assert told["coverage"][-1]["accuracy"]["value"] == told["accuracy"]["value"]


@pytest.mark.parametrize("count", [2, 3, 7])
def test_few_cells_without_slides_and_tiles_are_parted_so_that_no_part_is_empty(count: int) -> None:
    truth = Part.of([number % 2 for number in range(count)])
    cells = Cells(truth, np.ones(count, np.int64), vectors=np.arange(2.0 * count).reshape(count, 2))
    assert evaluated(cells)["honest"]["accuracy"]["n"] == count


@pytest.mark.parametrize(("slides", "tiles", "over"), [(6, 4, "slides"), (1, 9, "within this slide"), (1, 1, "none")])
def test_intervals_say_what_they_are_over(slides: int, tiles: int, over: str) -> None:
    cells = drawn(600, slides)
    tile = Part.of(np.arange(600) % tiles)
    found = evaluated(Cells(cells.truth, cells.cluster, slide=cells.slide, tile=tile))
    assert found["honest"]["interval"]["over"] == over
    assert (found["honest"]["accuracy"]["low"] is None) == (over == "none")
    *said, of_vectors = found["remarks"]
    assert bool(said) == (over != "slides")
    assert of_vectors.startswith("no vectors are given")


def test_clusters_of_each_slide_are_named_on_its_own_tiles() -> None:
    """Cluster 1 means another class in each slide: nothing of that spreads from slide to slide."""
    rng = np.random.default_rng(0)
    slide, tile = np.repeat(np.arange(6), 400), np.tile(np.repeat(np.arange(4), 100), 6)
    tile[slide == 5] = 0
    cluster = rng.integers(1, 3, len(slide))
    truth = np.where(slide % 2, cluster - 1, 2 - cluster)
    cells = Cells(Part.of(truth), cluster, slide=Part.of(slide), tile=Part.of(tile))
    together, apart = evaluated(cells), evaluated(replace(cells, is_apart=True))
    assert together["honest"]["accuracy"]["value"] < 0.6
    assert apart["honest"]["accuracy"]["value"] == 1
    assert apart["honest"]["cluster_count"] == apart["honest"]["baselines"]["random"]["cluster_count"] == 12
    assert apart["honest"]["baselines"]["constant"]["cluster_count"] == 6
    assert apart["honest"]["baselines"]["random"]["accuracy"]["value"] < 0.6
    assert apart["honest"]["interval"] == together["honest"]["interval"]
    assert apart["honest"]["slides"][0]["accuracy"]["low"] is None
    assert "of each slide are its own" in apart["remarks"][0]
    assert apart["paper"] == together["paper"]


def test_what_the_truth_says_twice_counts_once() -> None:
    cells = drawn(300)
    twice = np.concatenate([np.arange(300), [0, 1]])
    doubled = cells.take(twice)
    truth = doubled.truth.codes.copy()
    truth[301] = (truth[301] + 1) % 4
    found = evaluated(
        Cells(Part(truth, cells.truth.names), doubled.cluster, slide=doubled.slide, tile=doubled.tile, cell=twice)
    )
    assert found["paper"]["n_cells"] == 302
    assert found["honest"]["accuracy"]["n"] == 299
    assert "1 cells are left out" in found["remarks"][0]


@pytest.mark.parametrize(
    ("cells", "match", "words"),
    [
        (drawn(20), Match(0, 0, "row"), "no cells"),
        (drawn(20).take(np.zeros(20, bool)), Match(7, 0, "cell_id"), "another slide"),
        (Cells(Part.of(["a"] * 5), np.arange(5)), Match(5, 5, "row"), "of one class, 'a'"),
        (
            Cells(Part.of([0, 1]), np.arange(2), confidence=np.array([0.5, np.nan])),
            Match(2, 2, "row"),
            "confidence of 1 cells",
        ),
        (Cells(Part.of([0, 1]), np.arange(3)), Match(2, 2, "row"), "cluster has 3 rows"),
    ],
)
def test_what_no_number_can_be_made_of_is_refused_in_a_line(cells: Cells, match: Match, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words) as refused:
        evaluate(cells, match, QUICK)
    assert "\n" not in str(refused.value)


def test_an_interval_is_moved_to_its_value_but_not_to_where_no_draw_was() -> None:
    draws = np.linspace(0.2, 0.4, 101)
    assert number(np.array([0.25, *draws]), 7) == {"value": 0.25, "low": 0.2, "high": 0.345, "n": 7}
    assert number(np.array([0.3, *draws]), 7) == {"value": 0.3, "low": 0.205, "high": 0.395, "n": 7}
    assert number(np.array([0.1, *draws]), 7)["low"] == 0.1
    assert number(np.array([np.nan, 1.0]), 7)["low"] is None


def slides_of_a_population(seed: int, slides: int = 12, cells: int = 150) -> Cells:
    """Slides that differ in what they hold and in how good their clusters are; one class is rare."""
    rng = np.random.default_rng(seed)
    truth = [rng.choice(4, cells, p=rng.dirichlet((24.3, 12.3, 4.3, 1.9))) for _ in range(slides)]
    good = [rng.random(cells) < rng.beta(6, 2) for _ in range(slides)]
    classes = np.concatenate(truth)
    own = classes + 4 * rng.integers(0, 3, len(classes))
    cluster = np.where(np.concatenate(good), own, rng.integers(0, 12, len(classes))) + 1
    return Cells(Part.of(classes), cluster, slide=Part.of(np.repeat(np.arange(slides), cells)))


def test_intervals_hold_the_mean_of_all_samples_about_as_often_as_they_say() -> None:
    """Whether the rare class gets a name differs from sample to sample: an interval has to know that."""
    found = []
    for seed in range(40):
        cells = slides_of_a_population(seed)
        setting = setting_of(cells, Wanted(draws=150), go_on)
        found.append(numbers(of_clusters(cells.truth.codes, cells.clusters, cells.is_noise, setting).numbers, 1))
    for name in ("accuracy", "macro_f1", "area_macro_f1", "ami", "purity", "slide_hungarian"):
        mean = np.mean([one[name]["value"] for one in found])
        held = np.mean([one[name]["low"] <= mean <= one[name]["high"] for one in found])
        assert held >= 0.8, (name, held)


def test_a_draw_of_one_part_alone_is_no_measure() -> None:
    """In each of three tiles six of ten cells are of one class: one cluster for all has 0.6 in every draw."""
    truth = Part.of((["kidney"] * 6 + ["duct"] * 4) * 3)
    cells = Cells(truth, np.ones(30, np.int64), tile=Part.of(np.repeat(np.arange(3), 10)))
    found = evaluate(cells, Match(30, 30, "row"), Wanted(draws=200))["honest"]["accuracy"]
    assert (found["value"], found["low"], found["high"]) == (0.6, 0.6, 0.6)
    assert 100 < groups_of(cells, 5, 200, 0).draw_count < 200


def test_of_very_many_tiles_few_draws_are_kept() -> None:
    cells = Cells(Part.of(np.arange(300_000) % 2), np.ones(300_000, np.int64), tile=Part.of(np.arange(300_000)))
    assert groups_of(cells, 5, 1000, 0).draw_count == 20


def test_clusters_that_no_other_slide_has_are_told() -> None:
    slide = np.repeat([0, 1], 20)
    cells = Cells(Part.of(np.tile(["a", "b"], 20)), slide + 1, slide=Part.of(slide))
    remarks = evaluate(cells, Match(40, 40, "row"), Wanted(draws=20))["remarks"]
    assert any(line.startswith("100% of the cells lie in clusters that no other slide has") for line in remarks)
    shared = evaluate(replace(cells, cluster=np.tile([1, 2], 20)), Match(40, 40, "row"), Wanted(draws=20))["remarks"]
    assert not any("no other slide" in line for line in shared)


def test_annotators_are_people() -> None:
    cells = Cells(
        Part.of(np.tile(["a", "b"], 100)),
        np.ones(200, np.int64),
        cell=np.arange(200),
        annotator=Part.of(np.arange(200)),
    )
    with pytest.raises(InvalidArgument, match="200 annotators, more than 64"):
        evaluate(cells, Match(200, 200, "row"), Wanted(draws=20))
