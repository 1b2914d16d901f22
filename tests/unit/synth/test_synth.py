"""The synthetic slide: opens, tells the truth, is the same again, and refuses what makes no slide."""

import base64
import hashlib
import json
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import openslide
import pyarrow.parquet as pq
import pytest
import shapely
import tifffile
from numpy.typing import NDArray
from scipy.spatial import KDTree
from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from morula.common.scores import macro_f1
from morula.common.stain import FIXED_STAIN_MATRIX, Staining
from morula.demo.slide import SEED as DEMO_SEED
from morula.embedder.morphology import measure
from morula.synth import SPLITS, Truth, make_slide, split_of
from morula.synth.cells import CLASSES
from morula.synth.fabric import fabric_of
from morula.synth.noise import Window
from morula.synth.scanner import Scanner
from morula.synth.shapes import outlines
from morula.synth.slide import Artist, Order
from morula.synth.tissue import Layout, Tissue

SHAPE = (
    "area_um2",
    "perimeter_um",
    "major_axis_um",
    "minor_axis_um",
    "eccentricity",
    "solidity",
    "roundness",
    "fill_of_ellipse",
)
FROZEN_TRUTH = "27edb2fcda057c78194a3326eea8d7e2f37ec15358c59f1eb4bd1d5d142ad14f"
FROZEN_PICTURE = (
    "_x1Pp_4oJn_wMHFyO5{s-{tr9_xJVp_3-oc^7YfNzp#3hwTh$EvcvcF_xJVp;>p#bc#xrIhpKRnrfrO*a*yWK-uLzQn0bh-a*d{P"
    "kDO+RpIm&VZjG&en&sQ$p?Hn6eVK@2gsN_grCNHhbCIcZlI!E?_VoAU(c6$}iL7jit7nCrV}!`8zW4R__x1Pk?(wI2m9B7&n`ecj"
    "c$DPS-S_qP_x1Pn^7YoW#J7W;%(=+-_4oJn_xJVp0RjO60s;X60vaqLGe$WaH7fxE0RaL52NDeo6c8#*JuEpcG(R&dLpA~f0|Eg7"
    "A2}{ULOd}lBr7N(Dk&m2J24+NDgpumRajIpFDo=ND=HrvCL0(qEhaNGEGRZAOG!sAF)21MDk&u(78VjDCLk~{C?zo`1quizJ1;sn"
    "F(@h}Bq$*%ARIYNJOKg$0RaLQ9~n12GAJk_G&V0hL^&uvG64Ys0s;XK6%i^&I50poK21IX0s;a80RaI4"
)
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
    assert len(xs) == pytest.approx(shapely.area(polygons).sum(), rel=0.03)  # some lie over others


def test_nuclei_are_darker_than_what_is_around(made: Truth) -> None:
    with openslide.OpenSlide(made.slide) as slide:
        red = np.asarray(slide.read_region((0, 0), 0, (SIDE_PX, SIDE_PX)).convert("RGB"), float)[..., 0]
    nuclear = tifffile.imread(made.instances) > 0
    assert red[nuclear].mean() < red[~nuclear & (red < 225)].mean() - 40


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    """Large enough for all tissues; nobody tunes on it."""
    return make_slide(tmp_path_factory.mktemp("synth") / "larger.tiff", 1536, 1536, seed=SPLITS["training"].first_seed)


def test_every_class_is_there_and_none_rules(larger: Truth) -> None:
    table = pq.read_table(larger.cells)
    classes, counts = np.unique(table["class"].to_numpy(zero_copy_only=False), return_counts=True)
    assert set(classes) == set(CLASSES)
    assert counts.max() < 0.5 * counts.sum()


def test_same_arguments_same_bytes_other_seed_other_slide(tmp_path: Path) -> None:
    first, again, other = (
        make_slide(tmp_path / f"{n}.tiff", 300, 260, seed) for n, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    for name in vars(first):
        assert getattr(first, name).read_bytes() == getattr(again, name).read_bytes()
    assert first.slide.read_bytes() != other.slide.read_bytes()


def test_blocks_need_no_neighbour_and_fit_it() -> None:
    artist = Artist(Order(1100, 1100, 3))
    left, right = artist.block(Window(256, 256, 768, 768)), artist.block(Window(512, 256, 1024, 768))
    mine = left.cells["x"] >= 512
    theirs = right.cells["x"] < 768
    assert set(left.names[mine]) == set(right.names[theirs])
    assert mine.sum() > 100
    assert np.array_equal(left.instances[:, 256:], right.instances[:, :256])
    difference = np.abs(left.rgb[:, 256:].astype(float) - right.rgb[:, :256])
    assert difference.mean() < 4  # the scanner's noise alone


def test_shape_alone_does_not_tell_the_types_and_stain_and_company_tell_more(larger: Truth) -> None:
    table = pq.read_table(larger.cells).sort_by("instance")
    polygons = np.asarray(shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False)))
    labels = tifffile.imread(larger.instances)
    labels = np.searchsorted(np.r_[0, table["instance"].to_numpy()], labels).astype(np.int32)
    columns = measure(
        tifffile.imread(larger.slide, level=0), labels, polygons, 0.5, Staining("H&E", FIXED_STAIN_MATRIX)
    )
    everything = np.column_stack(list(columns.values()))
    places = np.c_[table["x_px"], table["y_px"]]
    company = everything[KDTree(places).query(places, 9)[1][:, 1:]].mean(axis=1)
    shape = np.column_stack([columns[name] for name in SHAPE])
    classes = table["class"].to_numpy(zero_copy_only=False)
    learned = np.random.default_rng(0).random(len(classes)) < 0.6

    def score(model: ClassifierMixin, features: NDArray[np.float64]) -> float:
        model.fit(features[learned], classes[learned])
        return macro_f1(classes[~learned], model.predict(features[~learned]))

    by_shape = score(RandomForestClassifier(60, min_samples_leaf=3, random_state=0), shape)
    by_all = score(make_pipeline(StandardScaler(), RidgeClassifier(3.0)), np.hstack([everything, company]))
    assert by_shape < 0.75  # well below the 0.9 that would make looking at stain needless
    assert by_all > by_shape + 0.08
    assert by_all < 0.95


def test_splits_share_neither_seed_nor_stain() -> None:
    splits = sorted(SPLITS.values(), key=lambda split: split.first_seed)
    assert splits[0].first_seed == 0
    assert [split.end_seed for split in splits] == [*(split.first_seed for split in splits[1:]), 2**31]
    for one, other in combinations(splits, 2):
        for name in ("haematoxylin", "eosin", "hue"):
            first, second = sorted([getattr(one, name), getattr(other, name)])
            assert first[1] <= second[0], name
    assert {name for name in SPLITS if split_of(DEMO_SEED) is SPLITS[name]} == {"demo"}


def test_stain_is_that_of_the_split() -> None:
    for split in SPLITS.values():
        strengths = np.linalg.norm(Scanner.of(split.end_seed - 1).optical_density, axis=1)
        for strength, span in zip(strengths, (split.haematoxylin, split.eosin), strict=True):
            assert span[0] - 1e-6 <= strength <= span[1] + 1e-6


@pytest.mark.parametrize("fraction", [0.05, 0.3])
def test_tissue_covers_as_much_as_is_asked_for(fraction: float) -> None:
    layout = Layout(6000, 4000, 3, fraction)
    x, y = np.meshgrid(np.arange(0, 6000, 20.0), np.arange(0, 4000, 20.0))
    assert (layout.depth(x, y) > 0).mean() == pytest.approx(fraction, rel=0.15)


def test_sparse_tissue_has_cells(tmp_path: Path) -> None:
    made = make_slide(tmp_path / "s.tiff", 1024, 1024, seed=3, tissue_fraction=0.1)
    assert (tifffile.imread(made.slide, level=1).min(axis=2) > 215).mean() > 0.85
    assert pq.read_table(made.cells).num_rows > 40


Flawed = tuple[Artist, NDArray[np.uint8], NDArray[np.uint8]]


@pytest.fixture(scope="module")
def flawed() -> Flawed:
    """A block with artefacts, and the same without."""
    artist, window = Artist(Order(1024, 1024, 7, artefacts=True)), Window(0, 0, 1024, 1024)
    return artist, artist.block(window).rgb, Artist(Order(1024, 1024, 7)).block(window).rgb


def within(region: shapely.Geometry) -> NDArray[np.bool_]:
    x, y = np.meshgrid(np.arange(1024) + 0.5, np.arange(1024) + 0.5)
    return np.asarray(shapely.contains_xy(region, x, y))


def test_artefacts_change_nothing_around_them(flawed: Flawed) -> None:
    regions = flawed[0].artefacts.regions()
    assert {kind for kind, _ in regions} == {"pen", "fold", "blur"}
    far = ~within(shapely.union_all([region for _, region in regions]).buffer(24))
    assert far.mean() > 0.5
    assert np.array_equal(flawed[1][far], flawed[2][far])


def test_pen_and_folds_darken_and_blur_takes_detail(flawed: Flawed) -> None:
    spoilt, clean = (image.astype(np.float32).mean(axis=2) for image in flawed[1:])
    detail = [np.abs(cv2.Laplacian(image, cv2.CV_32F)) for image in (spoilt, clean)]
    regions = flawed[0].artefacts.regions()
    for number, (kind, region) in enumerate(regions):
        others = shapely.union_all([other for n, (_, other) in enumerate(regions) if n != number])
        own = within(region.difference(others.buffer(8)))
        if kind == "blur":
            assert detail[0][own].mean() < 0.6 * detail[1][own].mean()
        else:
            assert spoilt[own].mean() < clean[own].mean() - (40 if kind == "pen" else 15)


def test_regions_are_told_in_the_slides_own_pixels(tmp_path: Path) -> None:
    made = make_slide(tmp_path / "s.tiff", 512, 512, seed=7, mpp=0.25, artefacts=True)
    table = pq.read_table(made.artefacts)
    assert table.column_names == ["kind", "geometry"]
    areas = shapely.area(shapely.from_wkb(table["geometry"].to_pylist()))
    painted = [region for _, region in Artist(Order(256, 256, 7, artefacts=True)).artefacts.regions()]
    assert areas == pytest.approx(4 * shapely.area(painted), rel=0.01)


def test_twice_the_magnification_shows_the_same(tmp_path: Path) -> None:
    fine = make_slide(tmp_path / "fine.tiff", 1200, 1000, seed=3, mpp=0.25)
    coarse = make_slide(tmp_path / "coarse.tiff", 600, 500, seed=3)
    with openslide.OpenSlide(fine.slide) as slide:
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.25)
    pixels, same = (tifffile.imread(made.slide, level=0).astype(float) for made in (fine, coarse))
    assert np.abs(pixels.reshape(500, 2, 600, 2, 3).mean(axis=(1, 3)) - same).mean() < 4
    large, small = (pq.read_table(made.cells) for made in (fine, coarse))
    assert large["instance"].equals(small["instance"])
    assert np.allclose(large["x_px"].to_numpy(), 2 * small["x_px"].to_numpy(), atol=0.1)
    assert np.array_equal(tifffile.imread(fine.instances)[::2, ::2], tifffile.imread(coarse.instances))


def test_fibres_and_fat_cells_are_told_whole_even_if_longer_than_a_tile() -> None:
    layout = Layout(8192, 8192, 3)
    longest = {}
    for window in (Window(4096, 6144, 5120, 7168), Window(2048, 5120, 3072, 6144)):
        for fabric in fabric_of(layout, window):
            bounds = shapely.bounds(fabric.outlines)
            longest[fabric.kind] = (bounds[:, 2:] - bounds[:, :2]).max()
            assert shapely.is_valid(fabric.outlines).all()
            middles = shapely.get_coordinates(shapely.point_on_surface(fabric.outlines))
            tissue = Tissue.MUSCLE if fabric.kind == "muscle_fibre" else Tissue.FAT
            assert (layout.kind(*middles.T)[0] == tissue).mean() > 0.95
    assert longest["muscle_fibre"] > 512
    assert longest["fat_cell"] > 512


def test_fabric_stands_beside_the_slide(larger: Truth) -> None:
    kinds, counts = np.unique(pq.read_table(larger.fabric)["kind"].to_numpy(zero_copy_only=False), return_counts=True)
    assert list(kinds) == ["fat_cell", "muscle_fibre"]
    assert counts.min() > 5
    assert pq.read_table(larger.artefacts).num_rows == 0


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


@pytest.mark.parametrize("option", [{"mpp": 0.3}, {"tissue_fraction": 0.001}, {"tissue_fraction": float("nan")}])
def test_refuses_options_that_make_no_slide(tmp_path: Path, option: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        make_slide(tmp_path / "s.tiff", 300, 300, 0, **option)  # type: ignore[arg-type]


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


@pytest.fixture(scope="module")
def frozen(flawed: Flawed) -> tuple[NDArray[np.float64], str]:
    """Brightness and contrast of 8 x 8 fields, as painted; digest of what is told about them."""
    artist, painted, _ = flawed
    fields = painted.reshape(8, 128, 8, 128, 3).astype(np.float64)
    picture = np.stack([fields.mean(axis=(1, 3)), fields.std(axis=(1, 3))])
    block = artist.block(Window(0, 0, 1024, 1024))
    digest = hashlib.sha256()
    order = np.argsort(block.names)
    digest.update(block.names[order].astype("<u4").tobytes())
    digest.update(block.cells["kind"][order].astype("u1").tobytes())
    regions = [region for _, region in artist.artefacts.regions()] + [o for f in block.fabric for o in f.outlines]
    places = np.hstack([shapely.bounds(regions), shapely.get_coordinates(shapely.centroid(regions))])
    for shape in (outlines(block.cells[order]), places):  # coarse: the last bits of a sine are each machine's own
        digest.update(np.round(shape * 4).astype("<i4").tobytes())
    return picture, digest.hexdigest()


def test_the_generator_is_frozen(frozen: tuple[NDArray[np.float64], str]) -> None:
    """Figures of demo, training and evaluation are of these slides: whoever changes them measures all anew."""
    picture, digest = frozen
    assert digest == FROZEN_TRUTH
    pinned = np.frombuffer(base64.b85decode(FROZEN_PICTURE), np.uint8).reshape(picture.shape)
    assert np.abs(picture - pinned).max() < 0.75
