"""The grid and the blend are those of the stock pipeline."""

import numpy as np
import pytest

from morula.segmenter import crops
from tests.servers.require import networks

networks()
import torch  # noqa: E402 - only where it is installed
from cellpose import transforms  # noqa: E402

from morula.segmenter import gpu  # noqa: E402

SIZES = [(300, 517), (256, 256), (100, 700), (241, 40), (1, 1)]


@pytest.mark.parametrize("augment", [False, True])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_crops_and_their_blend_are_the_stock_ones(height: int, width: int, augment: bool) -> None:
    image = np.random.default_rng(0).normal(size=(3, height, width)).astype(np.float32)
    top, bottom, left, right = transforms.get_pad_yx(height, width, min_size=(256, 256))
    padded = np.pad(image, ((0, 0), (top, bottom), (left, right)))
    tiles, rows, columns, full_height, full_width = transforms.make_tiles(padded, bsize=256, augment=augment)
    grid = crops.plan(height, width, 256, augment=augment)
    ours = crops.cut(image, grid)
    assert np.array_equal(ours, tiles.reshape(-1, *tiles.shape[2:]))

    outputs = np.random.default_rng(1).normal(size=ours.shape).astype(np.float32)
    upright = transforms.unaugment_tiles(outputs.reshape(tiles.shape).copy()) if augment else outputs
    stock = transforms.average_tiles(upright.reshape(ours.shape), rows, columns, full_height, full_width)
    stock = stock[:, top : top + height, left : left + width]
    assert np.abs(crops.blend(outputs, grid) - stock).max() < 1e-6


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_beyond_a_part_of_an_image_lies_its_mirror_image(height: int, width: int) -> None:
    image = np.random.default_rng(0).uniform(1, 2, size=(2, height, width)).astype(np.float32)
    grid = crops.plan(height, width, 256)
    found = crops.cut(image, grid, mirrored=True)
    assert found.min() >= 1
    assert np.array_equal(np.unique(found), np.unique(image))
    assert np.abs(crops.blend(found, grid) - image).max() < 1e-5


@pytest.mark.parametrize("on_gpu", [False, True])
@pytest.mark.parametrize("class_count", [0, 2])
def test_of_flipped_crops_flows_turn_and_maps_of_classes_do_not(class_count: int, on_gpu: bool) -> None:
    """A network that says of a mirror image the mirror image of what it says, its flows pointing the other way."""
    truth = np.random.default_rng(0).normal(size=(class_count + 3, 300, 517)).astype(np.float32)
    grid = crops.plan(300, 517, 256, augment=True)
    outputs = crops.cut(truth, grid)
    assert {len(grid.rows), len(grid.columns)} == {3, 5}
    for n in range(grid.crop_count):
        row, column = divmod(n, len(grid.columns))
        for channel, is_turned in ((class_count, column % 2), (class_count + 1, row % 2)):
            outputs[n, channel] *= -1 if is_turned else 1
    found = gpu.blend([list(torch.from_numpy(outputs))], grid).numpy() if on_gpu else crops.blend(outputs, grid)
    assert np.abs(found - truth).max() < 1e-5


def test_small_images_have_small_crops_where_the_network_takes_them() -> None:
    grid = crops.plan(100, 300, 224, whole=False)
    assert grid.crop == (128, 224)
    image = np.random.default_rng(0).normal(size=(2, 100, 300)).astype(np.float32)
    assert np.abs(crops.blend(crops.cut(image, grid), grid) - image).max() < 1e-5


def test_a_region_of_sixteen_tiles_is_a_hundred_crops() -> None:
    assert crops.plan(2112, 2112, 256).crop_count == 100
