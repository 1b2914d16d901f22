"""The tiler's measurement: its slides are slides, and both ways decide alike on them."""

from pathlib import Path

import numpy as np
import pytest

from morula.bench import large_slides
from morula.bench.large_slides import LargeSlide, write_large_slide
from morula.bench.plain import our_way, plain_way
from morula.common.testing import draw_tissue
from morula.tiler.readers import OpenSlideSlide, open_slide
from morula.tiler.tiff import TiffSlide


@pytest.fixture(autouse=True)
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block that takes no time to paint."""
    picture = np.tile(draw_tissue(420, 420)[0][82:338, 82:338], (8, 8, 1))
    monkeypatch.setattr(
        large_slides, "_block", lambda _, tile_px: np.ascontiguousarray(picture[: 8 * tile_px, : 8 * tile_px])
    )
    monkeypatch.setattr(large_slides, "_glass", lambda _, tile_px: np.full((tile_px, tile_px, 3), 244, np.uint8))


@pytest.mark.parametrize(
    ("wanted", "vendor"), [(LargeSlide(3000), "generic-tiff"), (LargeSlide(2880, tile_px=240, aperio=True), "aperio")]
)
def test_a_large_slide_is_read_the_direct_way_and_has_its_share_of_tissue(
    tmp_path: Path, wanted: LargeSlide, vendor: str
) -> None:
    path = write_large_slide(tmp_path / "a.svs", wanted)
    with OpenSlideSlide(path) as oracle, open_slide(path) as slide:
        assert isinstance(slide, TiffSlide)
        assert (slide.vendor, slide.scale.mpp) == (vendor, pytest.approx(0.5))
        assert slide.levels == oracle.levels
        picture = slide.read(1, 0, 0, slide.levels[1].width_px, slide.levels[1].height_px)
    assert (picture.min(axis=2) < 225).mean() == pytest.approx(0.3, abs=0.03)


def test_both_ways_keep_the_same_tiles_and_glass_is_never_read(tmp_path: Path) -> None:
    path = write_large_slide(tmp_path / "a.tiff", LargeSlide(2048))
    ours = our_way(path, tmp_path, 0.5)
    plain, tile_count = plain_way(path, tmp_path, 512, 16)
    assert tile_count == 16 == len(plain.read)
    assert plain.kept
    assert plain.kept <= ours.read
    assert plain.kept == ours.kept
    assert len(ours.read) < tile_count
    assert plain.cpu_per_kept_ms > ours.cpu_per_kept_ms
