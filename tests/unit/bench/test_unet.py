"""The measurement of the U-Net: ours runs anywhere, stock where it was brought."""

from pathlib import Path

import pytest

from morula.bench import unet
from morula.common.models import families
from morula.common.testing import draw_tissue
from morula.onebox.failures import Failure

NARROW = Path(__file__).parents[2] / "oracles" / "unet_narrow.onnx"
ROW = families()["cellpose-unet"]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unet, "tissue", lambda: draw_tissue(96, 96, 0)[0])


def test_ours_is_shown_where_stock_is_not(tmp_path: Path) -> None:
    ours, cells = unet.cases(ROW, NARROW, stock=tmp_path / "python")
    assert "make oracles" in ours.name
    assert ours.value > 0
    assert cells.unit == "cells"


def test_a_stock_that_fails_is_no_figure(tmp_path: Path) -> None:
    stock = tmp_path / "python"
    stock.write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    stock.chmod(0o755)
    with pytest.raises(Failure, match="broken"):
        unet.cases(ROW, NARROW, stock=stock)
