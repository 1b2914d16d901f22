"""Verdicts, and the reasons that are named for them."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from morula.common.testing import draw_tissue
from morula.tiler import gates
from morula.tiler.artefacts import fold_mask, pen_mask
from morula.tiler.gates import Gate, TileJudgement
from morula.tiler.impression import Impression
from morula.tiler.readers import open_slide
from morula.tiler.slide import Pixels
from morula.tiler.tissue import TissueRule, find_rule

BRIGHT = TissueRule("bright", 245.0, 16.0)
DARK = TissueRule("dark", 3.0, 20.0)
TISSUE = np.ascontiguousarray(draw_tissue(700, 700)[0][200:456, 200:456])


def judge_tile(pixels: Pixels, rule: TissueRule, gate: Gate = "default", fold_fraction: float = 0.0) -> TileJudgement:
    seen = Impression.of_whole(pixels, is_dark=rule.illumination == "dark")
    return gates.judge_tile(seen, rule, gate, fold_fraction)


def blank(level: int = 242) -> Pixels:
    noise = np.random.default_rng(1).normal(0, 2.0, (256, 256, 3))
    return np.clip(level + noise, 0, 255).astype(np.uint8)


def blurred(pixels: Pixels, sigma: float) -> Pixels:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.uint8)


def test_tissue_is_kept_and_measured() -> None:
    kept = judge_tile(TISSUE, BRIGHT)
    assert (kept.verdict, kept.reasons) == ("kept", ())
    assert kept.tissue_fraction is not None
    assert kept.tissue_fraction > 0.95
    assert kept.pen_fraction == 0.0
    assert kept.quality is not None
    assert kept.focus == kept.quality.laplacian_variance


def test_background_is_told() -> None:
    assert judge_tile(blank(), BRIGHT).verdict == "background"


@pytest.mark.parametrize("sigma", [4, 9])
def test_out_of_focus_is_told(sigma: float) -> None:
    judged = judge_tile(blurred(TISSUE, sigma), BRIGHT)
    assert (judged.verdict, judged.reasons) == ("blurred", ("blurred",))


@pytest.mark.parametrize("dye", [(0, 0, 255), (0, 210, 60), (240, 40, 0)])
def test_out_of_focus_is_told_whatever_colour_shines(dye: tuple[int, int, int]) -> None:
    nuclei = draw_tissue(700, 700)[1].label[200:456, 200:456, None] > 0
    sharp = (nuclei * np.array(dye) + 3).clip(0, 255).astype(np.uint8)
    assert judge_tile(sharp, DARK).verdict == "kept"
    for sigma in (4, 9):
        assert judge_tile(blurred(sharp, sigma), DARK).reasons == ("blurred",), sigma


def test_real_fluorescence_is_kept_in_focus_only(data_dir: Path) -> None:
    with open_slide(data_dir / "slides" / "real" / "test3-DAPI-2-387.ndpi") as slide:
        overview = slide.read_scaled(0, 0, 2.2, slide.width_px * 5 // 11, slide.height_px * 5 // 11)
    rule = find_rule(overview)
    assert rule.illumination == "dark"
    places = [(x, y) for y in range(0, overview.shape[0] - 511, 512) for x in range(0, overview.shape[1] - 511, 512)]
    for sigma, verdict in ((0, "kept"), (3, "blurred"), (6, "blurred")):
        shown = blurred(overview, sigma) if sigma else overview
        judged = [judge_tile(np.ascontiguousarray(shown[y : y + 512, x : x + 512]), rule).verdict for x, y in places]
        assert judged == [verdict] * 12, sigma


@pytest.mark.parametrize("ink", [(20, 40, 200), (20, 120, 60), (25, 20, 26), (190, 36, 50)])
def test_ink_of_any_colour_is_told(ink: tuple[int, int, int]) -> None:
    marked = TISSUE.copy()
    marked[:128] = ink
    judged = judge_tile(marked, BRIGHT)
    assert (judged.verdict, judged.reasons) == ("artefact", ("pen",))
    assert judged.pen_fraction == pytest.approx(0.5, abs=0.02)


def test_stains_are_no_ink() -> None:
    brown, blue, pink, red_cells = (110, 70, 45), (95, 85, 150), (225, 150, 190), (196, 62, 84)
    for stain in (brown, blue, pink, red_cells):
        assert not pen_mask(np.full((8, 8, 3), stain, np.uint8)).any(), stain


def test_a_fold_is_a_reason_and_all_reasons_are_named() -> None:
    judged = judge_tile(TISSUE, BRIGHT, fold_fraction=0.5)
    assert (judged.verdict, judged.reasons) == ("artefact", ("fold",))
    assert judge_tile(blank(), BRIGHT, fold_fraction=0.5).reasons[:2] == ("background", "fold")


def test_the_paper_s_gate_rejects_what_the_default_keeps() -> None:
    pale = np.clip(blank().astype(int) - (12, 30, 14), 0, 255).astype(np.uint8)
    pale[::40, :, 1] -= 30
    assert judge_tile(pale, BRIGHT).verdict == "kept"
    judged = judge_tile(pale, BRIGHT, "paper")
    assert judged.verdict == "poor"
    assert "edge_density" in judged.reasons
    assert judge_tile(TISSUE, BRIGHT, "paper").verdict == "kept"


def test_what_could_not_be_read_has_no_numbers() -> None:
    assert TileJudgement.unreadable() == TileJudgement("unreadable", ("unreadable",))


def test_a_tile_of_a_pixel_is_judged() -> None:
    assert judge_tile(np.full((1, 1, 3), 128, np.uint8), BRIGHT).quality is not None


def double_layer(width: int, top: int = 260) -> tuple[Pixels, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
    """Tissue at 1 um per pixel with a band where light passes it twice."""
    picture = blurred(draw_tissue(800, 600)[0], 2)
    band = np.zeros(picture.shape[:2], bool)
    band[top : top + width, 200:600] = True
    folded = picture.copy()
    folded[band] = (picture[band].astype(float) ** 2 / 245).astype(np.uint8)
    return folded, band


def test_a_narrow_band_of_double_density_is_a_fold_and_a_dense_field_is_not() -> None:
    folded, band = double_layer(40)
    tissue = BRIGHT.mask(folded)
    found = fold_mask(folded, tissue, 1.0)
    assert found[band].mean() > 0.7
    assert found[~band].mean() < 0.02
    dense, field = double_layer(200)
    assert fold_mask(dense, BRIGHT.mask(dense), 1.0)[field].mean() < 0.2
    assert not fold_mask(folded, np.zeros_like(tissue), 1.0).any()
    assert not fold_mask(folded, tissue, 200.0).any()  # Too coarse to tell.


def test_a_dense_rim_of_tissue_is_no_fold() -> None:
    skin, rim = double_layer(40, 72)  # The tissue begins at 75: on one side of the band there is glass.
    assert fold_mask(skin, BRIGHT.mask(skin), 1.0)[rim].mean() < 0.1
