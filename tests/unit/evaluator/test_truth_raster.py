"""Truths of pixels: their polygons hold just these pixels, and mean the cells that the pixels do."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
import shapely
from scipy import ndimage

from morula.common.errors import InvalidArgument, TooLarge
from morula.evaluator import matching, truth, truth_raster
from morula.evaluator.truth import Shapes

SCALE, X, Y = 4.0, 1000.0, -20.0


def packed(**arrays: object) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def painted(seed: int, height: int = 60, width: int = 80) -> np.ndarray:
    """Classes 0 to 3 in patches with holes and corners that touch."""
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(height, width)), 2)
    return np.digitize(smooth, np.quantile(smooth, [0.4, 0.6, 0.8])).astype(np.uint8)


@pytest.mark.parametrize("seed", range(3))
def test_a_cell_gets_the_class_of_the_pixel_it_lies_in(seed: int) -> None:
    classes = painted(seed)
    found = truth.read(packed(classes=classes, names=["tumour", "stroma", "fat"], scale=SCALE, x=X, y=Y))
    assert isinstance(found, Shapes)
    assert found.is_region.all()
    assert shapely.area(found.shapes).sum() == np.count_nonzero(classes) * SCALE**2
    rng = np.random.default_rng(seed + 10)
    column, row = rng.integers(0, classes.shape[1], 900), rng.integers(0, classes.shape[0], 900)
    x, y = ((at + rng.uniform(0.1, 0.9, 900)) * SCALE + corner for at, corner in ((column, X), (row, Y)))
    slide = matching.Slide(x, y, 0.5, lambda rows: shapely.points(x[rows], y[rows]).astype(object))
    pairs = matching.match(slide, found.shapes, found.is_region, 4.0)
    told = np.full(900, "", object)
    told[pairs.row] = found.classes.take(pairs.shape).to_pylist()
    assert told.tolist() == np.array(["", "tumour", "stroma", "fat"], object)[classes[row, column]].tolist()


def test_cells_are_outlines_with_the_class_that_most_of_their_pixels_have() -> None:
    instances, classes = np.zeros((12, 12), np.int32), np.zeros((12, 12), np.uint8)
    instances[1:5, 1:5], instances[6:9, 6:9], instances[9, 9], instances[10:12, 0:2] = 7, 9, 9, 4
    classes[1:5, 1:4], classes[1:5, 4], classes[6:10, 6:10] = 2, 1, 1  # Number 4 has no class.
    found = truth.read(packed(classes=classes, instances=instances))
    assert isinstance(found, Shapes)
    assert not found.is_region.any()
    assert found.classes.to_pylist() == ["2", "1"]
    assert [
        shape.equals(shapely.box(*box)) for shape, box in zip(found.shapes, [(1, 1, 5, 5), (6, 6, 9, 9)], strict=True)
    ]
    assert [shape.area for shape in found.shapes] == [16, 9]


CLASSES = np.ones((4, 4), np.uint8)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04 cut off", "no .npz"),
        (packed(classes=CLASSES)[:-60], "no .npz"),
        (packed(instances=CLASSES), "without `classes`"),
        (packed(classes=CLASSES, instance=CLASSES), "has 'instance.npy'"),
        (packed(classes=np.array([{}])), "1-dimensional object"),
        (packed(classes=CLASSES.astype(float)), "2-dimensional float64"),
        (packed(classes=CLASSES[0]), "1-dimensional"),
        (packed(classes=-CLASSES.astype(int)), "has -1"),
        (packed(classes=CLASSES.astype(int) * 10**9), "more than 65,535"),
        (packed(classes=CLASSES * 3, names=["a", "b"]), "2 names, and there is a class 3"),
        (packed(classes=CLASSES, scale=0.0), "a pixel has a width"),
        (packed(classes=CLASSES, x=np.nan), "`x` of the truth is no number"),
        (packed(classes=CLASSES, x=1e12), "nowhere on a slide"),
        (packed(classes=CLASSES, instances=CLASSES[:2]), r"is \(2, 4\) pixels"),
        (packed(classes=CLASSES * 0), "gives no class to anything"),
        (packed(classes=CLASSES[:0]), "gives no class to anything"),
        (packed(classes=CLASSES[:, :0]), "gives no class to anything"),
    ],
)
def test_what_is_no_truth_of_pixels_says_why(data: bytes, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        truth.read(data)


@pytest.mark.parametrize(
    ("name", "shape", "dtype"),
    [
        ("classes", (2**33, 1), "u1"),
        ("names", (1,), "|S1048576000"),
        ("instances", (70_000, 1000), "i8"),
        ("names", (10**9,), "<U0"),
        ("x", (2,), "f8"),
    ],
)
def test_what_a_header_claims_is_read_before_its_body(name: str, shape: tuple[int, ...], dtype: str) -> None:
    file, member = io.BytesIO(packed(**({} if name == "classes" else {"classes": CLASSES}))), io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(member, header)  # type: ignore[arg-type]
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(f"{name}.npy", member.getvalue())
    with pytest.raises(TooLarge, match=f"`{name}` of the truth has .* too much"):
        truth.read(file.getvalue())


@pytest.mark.parametrize(
    "member",
    [
        b"no header",
        b"\x93NUMPY\x01\x00\x10\x00{'descr': ((((    ",
        b"\x93NUMPY\x03\x00\x00\x00\x00\x00",
        b"\x93NUMPY\x01\x00\x10\x00{1: 2, 'a': 3}  ",
        b"\x93NUMPY\x01\x00\x40\x00" + b"{'descr': ('u1',), 'fortran_order': False, 'shape': (1, 1)}".ljust(64),
    ],
)
def test_a_member_that_is_no_array_is_refused(member: bytes) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("classes.npy", member)
    with pytest.raises(InvalidArgument, match=r"no \.npz of NumPy: ."):
        truth.read(file.getvalue())


def test_a_member_is_packed_as_numpy_packs_it() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("classes.npy", b"")
    with pytest.raises(InvalidArgument, match="packed in a way"):
        truth.read(file.getvalue())


def test_numbers_are_whole_however_wide_they_are() -> None:
    found = truth_raster.read(packed(classes=CLASSES.astype(np.uint64), instances=CLASSES.astype(np.uint64)))
    assert found.classes == ["1"]


def test_names_are_text() -> None:
    with pytest.raises(InvalidArgument, match="no text"):
        truth.read(packed(classes=CLASSES, names=np.array([2**32 - 1], np.uint32).view("U1")))
    with pytest.raises(InvalidArgument, match="no text"):
        truth.read(packed(classes=CLASSES, names=np.array([b"tumour"])))
    with pytest.raises(InvalidArgument, match="no text"):
        truth.read(packed(classes=CLASSES, names=["\ud800"]))
    with pytest.raises(InvalidArgument, match="NUL"):
        truth.read(b'{"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}, '
                   b'"properties": {"classification": "a\\u0000b"}}')  # fmt: skip


def test_noise_is_drawn_piece_by_piece_and_too_much_of_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Corners that meet are no seams: a board of squares takes no time, and anybody may stop what does."""
    board = np.indices((300, 300)).sum(axis=0) % 2
    found = truth.read(packed(classes=board))
    assert len(found.classes) == 45_000
    looked = []
    truth.read(packed(classes=board), lambda: looked.append(1))
    assert len(looked) > 100
    monkeypatch.setattr(truth_raster, "RUN_LIMIT", 100)
    with pytest.raises(TooLarge, match="is it noise"):
        truth.read(packed(classes=np.arange(400, dtype=np.uint8).reshape(20, 20) % 3 + 1))


def test_a_piece_is_outlined_whatever_hangs_in_it() -> None:
    """Rings that touch themselves, holes in a corner, combs: the polygons are valid and hold just the pixels."""
    for seed in range(20):
        noise = np.random.default_rng(seed).integers(0, 3, (24, 30)).astype(np.uint8)
        found = truth_raster.read(packed(classes=noise))
        assert shapely.is_valid(found.polygons).all()
        assert found.polygons.size == sum(ndimage.label(noise == value)[1] for value in (1, 2))
        row, column = np.indices(noise.shape) + 0.5
        told = np.zeros(noise.shape, np.uint8)
        for polygon, name in zip(found.polygons, found.classes, strict=True):
            told[shapely.contains_xy(polygon, column, row)] += int(name)
        assert (told == noise).all()
    comb = np.ones((2, 60_000), np.uint8)
    comb[1, ::2] = 0
    (piece,) = truth_raster.read(packed(classes=comb)).polygons
    assert piece.area == comb.sum()


def test_the_member_that_was_checked_is_the_one_that_is_read() -> None:
    file = io.BytesIO(packed(classes=CLASSES))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("classes", archive.read("classes.npy"))
    with pytest.raises(InvalidArgument, match="has 'classes"):
        truth.read(file.getvalue())
