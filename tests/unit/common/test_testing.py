"""The doubles that ship are what they stand for."""

from pathlib import Path

import numpy as np
import pytest

from morula.common import formats
from morula.common.pixels import read_regions
from morula.common.testing import draw_tissue, fake_shard, temporary_store, write_slide


def test_a_fake_shard_is_consistent() -> None:
    shard = fake_shard(size_px=256, tile_px=128, halo_px=16)
    plan, tiles, cells = formats.read_plan(shard.plan), formats.read_tiles(shard.tiles), formats.read_cells(shard.cells)
    assert plan["tile"].to_pylist() == tiles["tile"].to_pylist() == [0, 1, 2, 3]
    (region,) = read_regions(shard.pixels)
    assert region.pixels.shape == (256 + 32, 256 + 32, 3)
    assert (region.x_px, region.y_px, region.halo_px) == (-16, -16, 16)
    assert (region.pixels[:16] == 255).all()
    x, y = cells["x_px"].to_numpy(), cells["y_px"].to_numpy()
    assert (shard.grid.tiles_at(x, y) == cells["tile"].to_numpy()).all()
    # Nuclei are where the cells say: blue, and dark in red.
    columns, rows = ((places + 16).astype(int) for places in (x, y))
    assert region.pixels[rows, columns, 0].mean() < 140


def test_a_drawing_is_the_same_for_the_same_seed_and_its_nuclei_do_not_touch() -> None:
    picture, nuclei = draw_tissue(300, 200, seed=5)
    again, _ = draw_tissue(300, 200, seed=5)
    other, _ = draw_tissue(300, 200, seed=6)
    assert (picture == again).all()
    assert (picture != other).any()
    assert np.array_equal(np.unique(nuclei.label), np.arange(len(nuclei.x_px) + 1))
    areas = np.bincount(nuclei.label.ravel())[1:]
    assert np.allclose(areas, np.pi * nuclei.radius_px**2, rtol=0.1)
    assert (picture[:8] > 225).all()


def test_a_small_slide_is_a_pyramid_with_a_scale(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    path = tmp_path / "small.tiff"
    nuclei = write_slide(path, 512, 640, mpp=0.25)
    with tifffile.TiffFile(path) as slide:
        assert [page.shape for page in slide.pages] == [(640, 512, 3), (160, 128, 3)]
        assert all(page.is_tiled for page in slide.pages)
        per_cm, unit = slide.pages[0].tags["XResolution"].value
        assert per_cm / unit == pytest.approx(40_000)
        red = slide.pages[0].asarray()[..., 0]
    assert red[nuclei.label > 0].mean() < 150 < red[nuclei.label == 0].mean()


def test_a_temporary_store_is_gone_afterwards() -> None:
    with temporary_store() as store:
        store.put("a", b"x")
        with store.local_path("a") as path:
            root = path.parent
    assert not root.exists()
