"""Scores by hand: two right, one missed, one too many, one too small."""

import numpy as np
import pytest

from morula.evaluator.boundaries import distances_px
from morula.evaluator.shape_scores import Tally, intervals, scores, weights_of
from morula.evaluator.shapes import (
    Counts,
    aggregated_jaccard,
    dice,
    duplicate_count,
    image_iou,
    instance_dice,
    match,
    overlap,
)


def squares(*places: tuple[int, int, int]) -> np.ndarray:
    labels = np.zeros((40, 60), np.int32)
    for number, (y, x, side) in enumerate(places, 1):
        labels[y : y + side, x : x + side] = number * 7
    return labels


TRUTH = squares((0, 0, 10), (0, 20, 10), (20, 0, 10), (20, 20, 10))
FOUND = squares((0, 0, 10), (1, 20, 10), (20, 20, 6), (20, 45, 10))


def test_matches_by_hand() -> None:
    found = overlap(TRUTH, FOUND)
    assert match(found, 0.5) == Counts(2, 2, 2, pytest.approx(1 + 90 / 110))
    assert match(found, 0.3).matched == 3
    assert match(found, 0.9).matched == 1
    assert match(found, 1.0).matched == 1
    half = match(found, 0.5)
    assert half.average_precision == pytest.approx(2 / 6)
    assert half.f1 == pytest.approx(4 / 8)
    assert half.error_rate == pytest.approx(4 / 4)
    assert half.panoptic_quality == pytest.approx((1 + 90 / 110) / 4)


def test_areas_by_hand() -> None:
    found = overlap(TRUTH, FOUND)
    shared = 100 + 90 + 36
    assert dice(found) == pytest.approx(2 * shared / (400 + 336))
    assert image_iou(found) == pytest.approx(shared / (400 + 336 - shared))
    assert aggregated_jaccard(found) == pytest.approx(shared / (400 + 236 - shared + 100))


def test_objects_by_hand() -> None:
    found = overlap(TRUTH, FOUND)
    half = match(found, 0.5)
    assert (half.precision, half.recall) == (0.5, 0.5)
    dices = [1, 2 * 90 / 200, 2 * 36 / 136]
    by_truth = 100 * sum(dices) / 400
    by_found = (100 * dices[0] + 100 * dices[1] + 36 * dices[2]) / 336
    assert instance_dice(found) == pytest.approx((by_truth + by_found) / 2)
    assert duplicate_count(found) == 0
    halves = squares((0, 0, 10), (0, 20, 10))
    halves[5:10, 0:10] = 99
    assert duplicate_count(overlap(TRUTH, halves)) == 1


def test_distances_between_outlines_by_hand() -> None:
    truth, found = np.zeros((30, 30), int), np.zeros((30, 30), int)
    truth[5:15, 5:15], found[5:15, 6:16] = 3, 8
    truth[20:30, 20:30] = found[20:30, 20:30] = 4
    moved, same = distances_px(truth, found)
    assert same == 0
    # Of 36 pixels ten of the left side and eight of the right one are a pixel away; the rest lies on the other outline.
    assert moved == pytest.approx(18 / 36)
    assert distances_px(truth, np.zeros_like(truth)).size == 0


def test_the_truth_is_perfect_and_labels_are_only_names() -> None:
    renamed = TRUTH.max() + 1 - np.where(TRUTH, TRUTH, TRUTH.max() + 1)
    assert all(
        value == 1 for name, value in scores([overlap(TRUTH, renamed)]).items() if name in ("pq", "aji", "ap_0.95")
    )
    assert scores([overlap(TRUTH, TRUTH)])["error_rate"] == 0


def test_more_matches_go_before_better_ones() -> None:
    truth, found = np.zeros((1, 30), int), np.zeros((1, 30), int)
    truth[0, :10], truth[0, 10:20] = 1, 2
    found[0, :12], found[0, 12:20] = 1, 2
    assert match(overlap(truth, found), 0.1).matched == 2


def test_nothing_expected_and_nothing_found_is_right() -> None:
    empty = np.zeros((4, 4), int)
    assert scores([overlap(empty, empty)])["ap_0.5"] == 1
    assert scores([overlap(empty, np.ones((4, 4), int))])["ap_0.5"] == 0
    assert aggregated_jaccard(overlap(np.ones((4, 4), int), empty)) == 0


def test_images_of_other_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="truth is"):
        overlap(np.zeros((2, 2), int), np.zeros((2, 3), int))
    with pytest.raises(ValueError, match="no images"):
        scores([])


def test_a_draw_has_the_scores_of_its_images_written_out() -> None:
    rng = np.random.default_rng(5)
    pairs, apart = [], []
    for _ in range(6):
        truth, found = (squares(*rng.integers(0, [30, 50, 12], (5, 3)).tolist()) for _ in range(2))
        pairs.append(overlap(truth, np.where(rng.random(truth.shape) < 0.9, truth, found)))
        apart.append(rng.random(rng.integers(0, 4)))
    groups = ["a", "a", "b", "c", "d", "d"]
    weights = weights_of(groups, draws=20, seed=1)
    assert (weights[0] == 1).all()
    assert (weights[:, 0] == weights[:, 1]).all()
    drawn = Tally.of(pairs, apart).drawn(weights)
    for number, row in enumerate(weights.astype(int)):
        images = np.repeat(np.arange(6), row)
        counts = [match(pairs[image], 0.5) for image in images]
        right, lost, surplus = (sum(getattr(one, name) for one in counts) for name in ("matched", "missed", "wrong"))
        assert drawn["f1_0.5"][number] == pytest.approx(2 * right / (2 * right + lost + surplus))
        assert drawn["pq"][number] == pytest.approx(sum(one.iou_sum for one in counts) / (right + (lost + surplus) / 2))
        assert drawn["aji"][number] == pytest.approx(np.mean([aggregated_jaccard(pairs[image]) for image in images]))
        assert drawn["boundary_px"][number] == pytest.approx(np.concatenate([apart[image] for image in images]).mean())
    told = intervals(drawn, 6)["f1_0.5"]
    assert told["low"] < told["value"] < told["high"]
    assert intervals(Tally.of(pairs).drawn(weights_of(["a"] * 6)), 6)["f1_0.5"]["low"] is None
