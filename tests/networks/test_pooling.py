"""Features under masks: what a network saw of an object, wherever crops overlap, however the image was shown."""

import numpy as np
import pytest
from numpy.typing import NDArray

from morula.networks.network import FEATURE_STEP_PX
from morula.segmenter import crops
from morula.segmenter.flows import resized
from morula.segmenter.pooling import CropFeatures

SIZE = (150, 210)


def fields() -> NDArray[np.float32]:
    """Three fields that change slowly, and differently along each axis."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    return np.stack([y / 30, x / 40, np.sin(x / 25) + np.cos(y / 35)])


def labels_of(count: int) -> NDArray[np.int32]:
    """Discs of all sizes, from one px."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    labels = np.zeros(SIZE, np.int32)
    for number in range(1, count + 1):
        cy, cx = random.integers(8, SIZE[0] - 8), random.integers(8, SIZE[1] - 8)
        labels[(np.hypot(y - cy, x - cx) < random.uniform(0.5, 8)) & (labels == 0)] = number
    return np.unique(labels, return_inverse=True)[1].reshape(SIZE).astype(np.int32)


@pytest.mark.parametrize("augment", [False, True])
@pytest.mark.parametrize("rescale", [1.0, 0.4, 1.7])
def test_features_are_those_of_the_field_under_each_mask(rescale: float, augment: bool) -> None:
    height, width = (int(side * rescale) for side in SIZE)
    grid = crops.plan(height, width, 64, augment=augment, whole=False)
    seen = crops.cut(resized(fields(), height, width), grid, mirrored=True)
    count, channels = seen.shape[:2]
    step = FEATURE_STEP_PX
    squares = seen.reshape(count, channels, grid.crop[0] // step, step, grid.crop[1] // step, step).mean(axis=(3, 5))
    labels = labels_of(60)
    found = CropFeatures(squares.astype(np.float16), grid).under(labels, int(labels.max()))
    expected = np.array([fields()[:, labels == number].mean(axis=1) for number in range(1, int(labels.max()) + 1)])
    assert found.shape == expected.shape == (labels.max(), 3)
    # Squares of four shown px; the field changes by a thirtieth per px.
    assert np.abs(found - expected).max() < 0.1 / min(rescale, 1)


def test_where_nothing_was_found_nothing_was_seen() -> None:
    grid = crops.plan(*SIZE, 64)
    seen = CropFeatures(np.ones((grid.crop_count, 5, 16, 16), np.float16), grid)
    assert seen.under(np.zeros(SIZE, np.int32), 0).shape == (0, 5)
