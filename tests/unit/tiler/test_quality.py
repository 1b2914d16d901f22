"""The six metrics against the formulas of the system that they come from."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morula.common.testing import draw_tissue
from morula.tiler.gates import judge_tile
from morula.tiler.impression import Impression
from morula.tiler.quality import Thresholds, measure
from morula.tiler.slide import Part, Pixels
from morula.tiler.tissue import TissueRule

BRIGHT = TissueRule("bright", 245.0, 16.0)


def seen(pixels: Pixels) -> Impression:
    return Impression.of_whole(pixels, is_dark=False)


def plain(pixels: Pixels) -> dict[str, float]:
    """As published: one pass of numpy or OpenCV per metric, in doubles."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return {
        "mean_intensity": float(np.mean(grey)),
        "std_intensity": float(np.std(grey)),
        "bright_fraction": float(np.mean(grey > 240)),
        "dark_fraction": float(np.mean(grey < 15)),
        "edge_density": float(np.mean(cv2.Canny(grey, 50, 150) > 0)),
        "laplacian_variance": float(cv2.Laplacian(grey, cv2.CV_64F).var()),
        "colour_variance": float(np.var(np.mean(pixels, axis=(0, 1)))),
    }


def plain_verdict(metrics: dict[str, float]) -> bool:
    return not (
        metrics["edge_density"] < 0.02
        or metrics["bright_fraction"] > 0.8
        or metrics["dark_fraction"] > 0.8
        or metrics["std_intensity"] < 10.0
        or metrics["laplacian_variance"] < 50.0
        or metrics["colour_variance"] < 5.0
    )


def tiles() -> list[Pixels]:
    """Tissue, its border, background, blur, night, noise and grey, in several sizes."""
    rng = np.random.default_rng(3)
    picture = draw_tissue(900, 700, 4)[0]
    found = [picture[y : y + 200, x : x + 240] for y in range(0, 600, 130) for x in range(0, 700, 170)]
    found += [np.asarray(cv2.GaussianBlur(tile, (0, 0), sigma), np.uint8) for tile in found[4:8] for sigma in (1, 3, 6)]
    found += [
        rng.integers(low, high, (97, 131, 3), np.uint8) for low, high in ((0, 256), (0, 14), (235, 256), (90, 99))
    ]
    found += [np.full((64, 64, 3), level, np.uint8) for level in (0, 14, 15, 240, 241, 255)]
    found += [np.repeat(seen(tile).grey[..., None], 3, axis=2) for tile in found[:3]]
    return [np.ascontiguousarray(tile) for tile in found]


def test_cheap_operators_give_the_plain_values_and_decisions() -> None:
    verdicts = []
    for tile in tiles():
        quality, expected = measure(seen(tile)), plain(tile)
        for name, value in expected.items():
            assert getattr(quality, name) == pytest.approx(value, rel=1e-9, abs=1e-9), name
        kept = judge_tile(seen(tile), BRIGHT, "paper").verdict == "kept"
        assert kept == plain_verdict(expected)
        verdicts.append(kept)
    assert 5 < sum(verdicts) < len(verdicts) - 5  # Both answers are put to the test.


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40), st.integers(0, 255), st.integers(1, 256))
@settings(max_examples=60, deadline=None)
def test_any_pixels_give_the_plain_values(seed: int, width: int, height: int, low: int, span: int) -> None:
    pixels = np.random.default_rng(seed).integers(low, min(256, low + span), (height, width, 3), np.uint8)
    quality = measure(seen(pixels))
    for name, value in plain(pixels).items():
        assert getattr(quality, name) == pytest.approx(value, rel=1e-9, abs=1e-9), name


def test_each_threshold_names_its_metric() -> None:
    quality = measure(seen(tiles()[7]))
    assert Thresholds().failed(quality) == ()
    for name, changed in {
        "edge_density": Thresholds(min_edge_density=1.1),
        "bright_fraction": Thresholds(max_bright_fraction=-1.0),
        "dark_fraction": Thresholds(max_dark_fraction=-1.0),
        "std_intensity": Thresholds(min_std_intensity=1e9),
        "laplacian_variance": Thresholds(min_laplacian_variance=1e9),
        "colour_variance": Thresholds(min_colour_variance=1e9),
    }.items():
        assert changed.failed(quality) == (name,)


@pytest.mark.parametrize("is_dark", [False, True])
@pytest.mark.parametrize("cuts", [((0, 200), (0, 240)), ((0, 64, 200), (0, 100, 112, 240)), ((0, 4, 8, 200), (0, 240))])
def test_parts_give_the_impression_of_the_whole(cuts: tuple[tuple[int, ...], tuple[int, ...]], is_dark: bool) -> None:
    tile = tiles()[5]
    rows, columns = (list(pairwise(places)) for places in cuts)
    parts = [Part(x, y, np.ascontiguousarray(tile[y:y_stop, x:x_stop])) for y, y_stop in rows for x, x_stop in columns]
    whole = Impression.of_whole(tile, is_dark=is_dark)
    found = Impression.of((240, 200), reversed(parts), is_dark=is_dark)
    assert np.array_equal(found.grey, whole.grey)
    assert np.array_equal(found.small, whole.small)
    assert np.array_equal(found.focused, tile.max(axis=2) if is_dark else whole.grey)
    assert found.colours.tolist() == whole.colours.tolist() == tile.sum(axis=(0, 1)).tolist()
