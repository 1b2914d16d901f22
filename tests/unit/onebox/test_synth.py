"""The synthetic slide: opens, tells the truth, is the same again, and refuses what makes no slide."""

import json
from pathlib import Path

import numpy as np
import openslide
import pyarrow.parquet as pq
import pytest
import shapely
import tifffile
from numpy.typing import NDArray

from morula.onebox.synth import Truth, make_slide
from morula.onebox.synth.cells import CLASSES
from morula.onebox.synth.noise import Window
from morula.onebox.synth.slide import Artist

SIDE_PX = 1100  # more than a block, and no multiple of a tile


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    return make_slide(tmp_path_factory.mktemp("synth") / "slide.tiff", SIDE_PX, SIDE_PX, seed=3)


@pytest.fixture(scope="module")
def polygons(made: Truth) -> NDArray[np.object_]:
    return np.asarray(shapely.from_wkb(pq.read_table(made.cells)["geometry"].to_numpy(zero_copy_only=False)))


def test_openslide_reads_a_pyramid_at_half_a_micron(made: Truth) -> None:
    with openslide.OpenSlide(made.slide) as slide:
        assert slide.dimensions == (SIDE_PX, SIDE_PX)
        assert slide.level_dimensions == ((1100, 1100), (275, 275), (69, 69))
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.5)
        level0 = np.asarray(slide.read_region((0, 0), 0, (1024, 1024)).convert("RGB"), float)
        level1 = np.asarray(slide.read_region((0, 0), 1, (256, 256)).convert("RGB"), float)
    shrunk = level0.reshape(256, 4, 256, 4, 3).mean(axis=(1, 3))
    luma = np.array([0.299, 0.587, 0.114])  # colour is coded at half the resolution
    assert np.abs(shrunk @ luma - level1 @ luma).mean() < 2.5


def test_tissue_lies_on_bright_glass(made: Truth) -> None:
    with openslide.OpenSlide(made.slide) as slide:
        overview = np.asarray(slide.read_region((0, 0), 1, (275, 275)).convert("RGB"), int)
    glass = (overview.min(axis=2) > 215).mean()
    assert 0.25 < glass < 0.65
    tissue = overview[overview.min(axis=2) < 180].mean(axis=0)
    assert tissue[0] > tissue[1]  # pink to purple: least green, most red or blue
    assert tissue[2] > tissue[1]


def test_truth_is_geoparquet_in_level_0_pixels(made: Truth, polygons: NDArray[np.object_]) -> None:
    table = pq.read_table(made.cells)
    assert table.column_names == ["x_px", "y_px", "class", "instance", "geometry"]
    geo = json.loads(table.schema.metadata[b"geo"])
    assert geo["primary_column"] == "geometry"
    assert geo["columns"]["geometry"]["crs"] is None
    assert shapely.is_valid(polygons).all()
    assert shapely.box(0, 0, SIDE_PX, SIDE_PX).covers(shapely.union_all(polygons).envelope)
    centroids = shapely.get_coordinates(shapely.centroid(polygons))
    assert np.allclose(centroids, np.c_[table["x_px"], table["y_px"]])


def test_polygons_and_label_image_agree(made: Truth, polygons: NDArray[np.object_]) -> None:
    labels = tifffile.imread(made.instances)
    instances = pq.read_table(made.cells)["instance"].to_numpy()
    assert labels.dtype == np.uint32
    assert len(np.unique(instances)) == len(instances)
    assert set(np.unique(labels)) - {0} == set(instances.tolist())
    ys, xs = np.nonzero(labels)
    polygon_of = dict(zip(instances.tolist(), polygons, strict=True))
    sample = np.random.default_rng(0).choice(len(xs), 4000, replace=False)
    owners = [polygon_of[i] for i in labels[ys[sample], xs[sample]].tolist()]
    assert shapely.contains_xy(owners, xs[sample] + 0.5, ys[sample] + 0.5).mean() > 0.98
    assert len(xs) == pytest.approx(shapely.area(polygons).sum(), rel=0.02)


def test_nuclei_are_darker_than_what_is_around(made: Truth) -> None:
    with openslide.OpenSlide(made.slide) as slide:
        red = np.asarray(slide.read_region((0, 0), 0, (SIDE_PX, SIDE_PX)).convert("RGB"), float)[..., 0]
    nuclear = tifffile.imread(made.instances) > 0
    assert red[nuclear].mean() < red[~nuclear & (red < 225)].mean() - 40


def test_every_class_is_there_and_none_rules(tmp_path: Path) -> None:
    table = pq.read_table(make_slide(tmp_path / "s.tiff", 1536, 1536, seed=3).cells)
    classes, counts = np.unique(table["class"].to_numpy(zero_copy_only=False), return_counts=True)
    assert set(classes) == set(CLASSES)
    assert counts.max() < 0.5 * counts.sum()


def test_same_arguments_same_bytes_other_seed_other_slide(tmp_path: Path) -> None:
    first, again, other = (
        make_slide(tmp_path / f"{n}.tiff", 300, 260, seed) for n, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    for name in ("slide", "cells", "instances"):
        assert getattr(first, name).read_bytes() == getattr(again, name).read_bytes()
    assert first.slide.read_bytes() != other.slide.read_bytes()


def test_blocks_need_no_neighbour_and_fit_it() -> None:
    artist = Artist(1100, 1100, 3)
    left, right = artist.block(Window(256, 256, 768, 768)), artist.block(Window(512, 256, 1024, 768))
    mine = left.cells["x"] >= 512
    theirs = right.cells["x"] < 768
    assert set(left.names[mine]) == set(right.names[theirs])
    assert mine.sum() > 100
    assert np.array_equal(left.instances[:, 256:], right.instances[:, :256])
    difference = np.abs(left.rgb[:, 256:].astype(float) - right.rgb[:, :256])
    assert difference.mean() < 4  # the scanner's noise alone


@pytest.mark.parametrize(
    ("name", "width", "height", "seed", "says"),
    [
        ("s.tiff", 255, 300, 0, "width must be 256"),
        ("s.tiff", 300, 10**9, 0, "height must be"),
        ("s.tiff", 300, 300, -1, "seed must be"),
        ("s.png", 300, 300, 0, "end in .tiff"),
        ("nowhere/s.tiff", 300, 300, 0, "no such folder"),
    ],
)
def test_refuses_what_makes_no_slide(tmp_path: Path, name: str, width: int, height: int, seed: int, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make_slide(tmp_path / name, width, height, seed)
    assert list(tmp_path.iterdir()) == []


def test_leaves_nothing_behind_when_stopped(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_slide(tmp_path / "s.tiff", 300, 300, 3, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_tells_how_far_it_is(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    make_slide(tmp_path / "s.tiff", 1100, 300, 3, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]
