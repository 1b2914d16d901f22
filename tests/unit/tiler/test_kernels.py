"""Edges and the Laplacian against OpenCV's own, on pictures of every kind."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from morula.common.testing import draw_tissue
from morula.tiler.kernels import Grey, count_edges, sum_laplacian
from morula.tiler.readers import open_slide
from morula.tiler.slide import Pixels

SLIDES = Path(os.environ.get("MORULA_DATA", "../shared/data")) / "slides"


def luminance(pixels: Pixels) -> Grey:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)


def check(grey: Grey, low: int = 50, high: int = 150) -> int:
    """Holds both to OpenCV's; how many edges there are."""
    edges = count_edges(grey, low, high)
    assert edges == cv2.countNonZero(cv2.Canny(grey, low, high)), grey.shape
    laplacian = cv2.Laplacian(grey, cv2.CV_64F)
    assert sum_laplacian(grey) == (laplacian.sum(), (laplacian**2).sum()), grey.shape
    return edges


def pictures(rng: np.random.Generator, height: int, width: int) -> Iterator[Grey]:
    """Noise, soft noise, ramps with ties in every direction, blocks, and levels that are all the same."""
    noise = rng.integers(0, 256, (height, width), np.uint8)
    yield noise
    yield from (grey_of(cv2.GaussianBlur(noise, (0, 0), sigma), noise.shape) for sigma in (0.7, 1.5, 4.0))
    for step_y, step_x in rng.integers(0, 60, (4, 2)):
        ramp = np.add.outer(np.arange(height) * step_y, np.arange(width) * step_x)
        yield (ramp % 256).astype(np.uint8)
        yield np.minimum(ramp, 255).astype(np.uint8)
    coarse = rng.integers(0, 256, (height // 4 + 1, width // 4 + 1), np.uint8)
    for way in (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC):
        yield grey_of(cv2.resize(coarse, (width, height), interpolation=way), noise.shape)
    yield (noise // 128) * 255
    yield np.full_like(noise, rng.integers(0, 256))


def grey_of(image: object, shape: tuple[int, ...]) -> Grey:
    return np.ascontiguousarray(image, np.uint8).reshape(shape)


@pytest.mark.parametrize("height", [1, 2, 3, 4, 5, 31, 97])
@pytest.mark.parametrize("width", [1, 2, 3, 7, 16, 33, 63, 64, 65, 128, 130, 257])
def test_any_size_gives_the_same_edges(height: int, width: int) -> None:
    for grey in pictures(np.random.default_rng((height, width)), height, width):
        check(grey)


@given(st.integers(0, 2**32 - 1), st.integers(1, 150), st.integers(1, 150), st.integers(0, 300), st.integers(0, 800))
@settings(max_examples=80, deadline=None)
def test_any_thresholds_give_the_same_edges(seed: int, height: int, width: int, low: int, more: int) -> None:
    for grey in pictures(np.random.default_rng(seed), height, width):
        check(grey, low, low + more)


def test_a_long_faint_edge_is_followed_wherever_it_turns() -> None:
    rng, found = np.random.default_rng(5), []
    for _ in range(20):
        walk = np.cumsum(rng.integers(-9, 10, (60, 2)), axis=0) * 4 % 400
        drawn = np.full((400, 400), 100, np.uint8)
        cv2.polylines(drawn, [walk.astype(np.int32)], isClosed=False, color=118, thickness=3)  # Weak by itself.
        cv2.circle(drawn, tuple(map(int, walk[0])), 4, 255, -1)
        found.append(check(drawn) - check(np.minimum(drawn, 118)))
    assert max(found) > 1000


def test_tissue_and_whole_tiles_give_the_same_edges() -> None:
    tissue = luminance(draw_tissue(1100, 900, 8)[0])
    assert check(tissue) > 10_000
    for _ in range(3):
        assert check(np.ascontiguousarray(tissue[200:712, 100:612])) > 1000
        tissue = np.ascontiguousarray(np.rot90(tissue))
    assert check(np.random.default_rng(2).integers(0, 256, (512, 512), np.uint8)) > 50_000


@pytest.mark.parametrize("name", ["CMU-1-Small-Region.svs", "test3-DAPI-2-387.ndpi"])
def test_real_slides_give_the_same_edges(name: str) -> None:
    if not SLIDES.is_dir():
        pytest.skip(f"no real data at {SLIDES} (set MORULA_DATA)")
    with open_slide(SLIDES / "real" / name) as slide:
        for x in range(0, min(slide.width_px, 2500), 500):
            for y in range(0, min(slide.height_px, 2500), 500):
                check(luminance(slide.read(0, x, y, 512, 512)))


def test_they_run_where_nothing_can_be_kept(tmp_path: Path) -> None:
    lines = "from numba.core import caching; caching.CacheImpl._locator_classes = []"
    lines += "; from morula.tiler import kernels, planes; assert planes.count_marks(bytearray(2)) == 0"
    environment = {**os.environ, "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", lines], check=True, env=environment)
