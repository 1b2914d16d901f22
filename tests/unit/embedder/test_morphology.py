"""Morphology of shapes whose numbers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from morula.common.models import find, variant
from morula.common.stain import FIXED_IHC_MATRIX, FIXED_STAIN_MATRIX, Stain, Staining
from morula.embedder.morphology import measure
from morula.embedder.named import measured, vectors
from morula.segmenter.polygons import trace

MPP = 0.5
Columns = dict[str, NDArray[np.float64]]


def ellipse(size: int, major_px: float, minor_px: float, angle_deg: float, x: float, y: float) -> NDArray[np.bool_]:
    """Pixels of an ellipse with these axes (diameters)."""
    rows, columns = np.mgrid[:size, :size] + 0.5
    turn = math.radians(angle_deg)
    along = (columns - x) * math.cos(turn) + (rows - y) * math.sin(turn)
    across = (rows - y) * math.cos(turn) - (columns - x) * math.sin(turn)
    return (along / (major_px / 2)) ** 2 + (across / (minor_px / 2)) ** 2 <= 1


HE = Staining("H&E", FIXED_STAIN_MATRIX)


def stained(
    haematoxylin: NDArray[np.float64], eosin: NDArray[np.float64], matrix: tuple[float, ...] = FIXED_STAIN_MATRIX
) -> NDArray[np.uint8]:
    """RGB of tissue with these densities of the two stains."""
    stains = np.reshape(matrix, (2, 3))
    density = haematoxylin[..., None] * stains[0] + eosin[..., None] * stains[1]
    return np.clip(np.rint(256 * 10**-density - 1), 0, 255).astype(np.uint8)


def measured_masks(*masks: NDArray[np.bool_], pixels: NDArray[np.uint8] | None = None) -> Columns:
    labels = np.zeros(masks[0].shape, np.int32)
    for number, mask in enumerate(masks, start=1):
        labels[mask] = number
    if pixels is None:
        pixels = stained(np.where(labels > 0, 0.8, 0.1), np.full(labels.shape, 0.3))
    return measure(pixels, labels, trace(labels), MPP, HE)


def test_a_disc_is_round() -> None:
    columns = measured_masks(ellipse(80, 40, 40, 0, 40, 40))
    assert columns["area_um2"][0] == pytest.approx(math.pi * 10**2, rel=0.02)
    assert columns["perimeter_um"][0] == pytest.approx(math.pi * 20, rel=0.03)
    assert columns["major_axis_um"][0] == pytest.approx(20, rel=0.02)
    assert columns["minor_axis_um"][0] == pytest.approx(20, rel=0.02)
    assert columns["eccentricity"][0] < 0.15
    assert columns["roundness"][0] == pytest.approx(1, abs=0.06)
    assert columns["solidity"][0] > 0.94
    assert columns["fill_of_ellipse"][0] == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("angle_deg", [0, 25, 45, 90, 130])
def test_an_ellipse_has_its_axes_whichever_way_it_lies(angle_deg: float) -> None:
    columns = measured_masks(ellipse(100, 60, 24, angle_deg, 50, 50))
    assert columns["major_axis_um"][0] == pytest.approx(30, rel=0.03)
    assert columns["minor_axis_um"][0] == pytest.approx(12, rel=0.03)
    assert columns["eccentricity"][0] == pytest.approx(math.sqrt(1 - 0.4**2), abs=0.02)
    # Ramanujan's perimeter.
    a, b = 15.0, 6.0
    assert columns["perimeter_um"][0] == pytest.approx(
        math.pi * (3 * (a + b) - math.sqrt((3 * a + b) * (a + 3 * b))), rel=0.04
    )


def test_a_c_is_less_solid_than_a_disc() -> None:
    disc = ellipse(80, 40, 40, 0, 40, 40)
    columns = measured_masks(disc & ~ellipse(80, 24, 24, 0, 52, 40))
    assert columns["solidity"][0] < 0.9


def test_densities_are_those_of_the_stain() -> None:
    columns = measured_masks(ellipse(80, 30, 30, 0, 40, 40))
    assert columns["haematoxylin_mean_od"][0] == pytest.approx(0.8, abs=0.02)
    assert columns["eosin_mean_od"][0] == pytest.approx(0.3, abs=0.02)
    for name in ("p10", "p50", "p90"):
        assert columns[f"haematoxylin_{name}_od"][0] == pytest.approx(0.8, abs=0.02)
    assert columns["haematoxylin_std_od"][0] < 0.02
    for ring in ("inner", "outer"):
        assert columns[f"{ring}_ring_haematoxylin_mean_od"][0] == pytest.approx(0.1, abs=0.02)
        assert columns[f"{ring}_ring_eosin_mean_od"][0] == pytest.approx(0.3, abs=0.02)


def test_clumped_chromatin_has_more_texture() -> None:
    mask = ellipse(80, 36, 36, 0, 40, 40)
    checks = (np.add.outer(np.arange(80) // 3, np.arange(80) // 3) % 2) * 0.4 - 0.2
    eosin = np.full(mask.shape, 0.3)
    flat = measured_masks(mask, pixels=stained(np.where(mask, 0.8, 0.1), eosin))
    clumped = measured_masks(mask, pixels=stained(np.where(mask, 0.8 + checks, 0.1), eosin))
    for name in ("clump_contrast_od", "blob_contrast_od", "haematoxylin_std_od"):
        assert clumped[name][0] > 1.5 * flat[name][0]


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turning_the_image_changes_nothing(turns: int) -> None:
    rng = np.random.default_rng(0)
    masks = [ellipse(96, 30, 18, 20, 30, 34), ellipse(96, 22, 20, 70, 66, 60)]
    labels = masks[0] * 1 + masks[1] * 2
    pixels = stained(np.where(labels > 0, 0.7, 0.1) + rng.uniform(0, 0.2, labels.shape), np.full(labels.shape, 0.3))
    upright = measured_masks(*masks, pixels=pixels)
    turned = measured_masks(*(np.rot90(mask, turns) for mask in masks), pixels=np.rot90(pixels, turns).copy())
    for name, values in upright.items():
        # Distances to outlines differ by less than a pixel between the ways an image lies.
        assert turned[name] == pytest.approx(values, rel=0.06, abs=0.012), name


@pytest.mark.parametrize("scale", [1, 2])
def test_microns_do_not_depend_on_the_working_scale(scale: int) -> None:
    mask = ellipse(80 * scale, 30 * scale, 20 * scale, 30, 40 * scale, 40 * scale)
    pixels = stained(np.where(mask, 0.8, 0.1), np.full(mask.shape, 0.3))
    columns = measure(pixels, mask.astype(np.int32), trace(mask.astype(np.int32)), MPP / scale, HE)
    assert columns["area_um2"][0] == pytest.approx(math.pi / 4 * 15 * 10, rel=0.03)
    assert columns["major_axis_um"][0] == pytest.approx(15, rel=0.03)


def test_one_pixel_and_a_whole_image_are_measured_too() -> None:
    speck = np.zeros((20, 20), bool)
    speck[10, 10] = True
    for columns in (measured_masks(speck), measured_masks(np.ones((20, 20), bool))):
        assert all(np.isfinite(values).all() for values in columns.values())


def test_touching_cells_keep_their_own_numbers() -> None:
    left = np.zeros((40, 40), bool)
    left[10:30, 10:20] = True
    right = np.zeros((40, 40), bool)
    right[10:30, 20:30] = True
    columns = measured_masks(left, right)
    assert columns["area_um2"].tolist() == [50, 50]
    assert columns["perimeter_um"][0] == pytest.approx(columns["perimeter_um"][1])


VARIANTS: dict[str, tuple[Stain | None, ...]] = {
    "morphology": ("H&E",),
    "morphology-ihc": ("IHC",),
    "morphology-fluorescence": ("fluorescence",),
    "morphology-plain": (None, "other"),
}


@pytest.mark.parametrize(("name", "stain"), [(name, stain) for name, stains in VARIANTS.items() for stain in stains])
def test_the_registry_names_all_columns_of_a_stain_and_only_them(name: str, stain: Stain | None) -> None:
    mask = ellipse(40, 16, 16, 0, 20, 20)
    pixels = stained(np.where(mask, 0.8, 0.1), np.full(mask.shape, 0.3))
    columns = measure(pixels, mask.astype(np.int32), trace(mask.astype(np.int32)), MPP, Staining(stain))
    spec = variant(find("morphology", "embedder"), stain)
    assert spec.name == name
    assert measured(spec.columns) == list(columns)
    assert vectors(columns, spec.columns).shape == (1, len(spec.columns))
    speaks_of = {word for word in ("haematoxylin", "eosin", "dab") for column in columns if word in column}
    assert speaks_of == {"H&E": {"haematoxylin", "eosin"}, "IHC": {"haematoxylin", "dab"}}.get(stain or "", set())


@pytest.mark.parametrize("matrix", [FIXED_IHC_MATRIX, ()], ids=["of a slide", "of one image"])
def test_brown_is_told_from_blue(matrix: tuple[float, ...]) -> None:
    mask = ellipse(60, 24, 24, 0, 30, 30)
    pixels = stained(np.where(mask, 0.3, 0.1), np.where(mask, 0.7, 0.05), FIXED_IHC_MATRIX)
    labels = mask.astype(np.int32)
    columns = measure(pixels, labels, trace(labels), MPP, Staining("IHC", matrix))
    assert columns["haematoxylin_mean_od"][0] == pytest.approx(0.3, abs=0.02)
    assert columns["dab_mean_od"][0] == pytest.approx(0.7, abs=0.02)
    assert columns["outer_ring_dab_mean_od"][0] == pytest.approx(0.05, abs=0.02)


def test_light_is_measured_in_each_colour() -> None:
    mask = ellipse(60, 24, 24, 0, 30, 30)
    pixels = np.where(mask[..., None], (51, 204, 0), (0, 51, 0)).astype(np.uint8)
    labels = mask.astype(np.int32)
    columns = measure(pixels, labels, trace(labels), MPP, Staining("fluorescence"))
    inside = {"red": 0.2, "green": 0.8, "blue": 0.0, "brightness": 0.8}
    for name, light in inside.items():
        assert columns[f"{name}_mean_intensity"][0] == pytest.approx(light, abs=1e-6)
    assert columns["brightness_p50_intensity"][0] == pytest.approx(0.8, abs=1 / 255)
    assert columns["outer_ring_green_mean_intensity"][0] == pytest.approx(0.2, abs=1e-6)
