"""A network with a size model, through the gateway: objects are measured once, and every shard is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from morula.common.compute import Processors, Slot
from morula.common.models import FAMILIES, add_rows
from morula.common.testing import write_slide
from morula.common.weights import WeightsFolder
from morula.networks.models import Models
from morula.segmenter.backends import MODELS
from morula.segmenter.servicer import SegmenterServicer
from tests.servers.gateway import gateway, services

ORACLES = Path(__file__).parents[1] / "oracles"
FAMILY = next(row for row in FAMILIES if row.name == "cellpose-unet")


class Noting(SegmenterServicer):
    """The real segmenter, which notes what it is asked."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.measured: list[tuple[float, str, list[str]]] = []
        self.told: list[Any] = []

    async def MeasureObjects(self, request: Any, context: Any) -> Any:  # noqa: N802 - the contract's name
        answer = await super().MeasureObjects(request, context)
        self.measured.append((answer.diameter_um, request.normalize, list(request.channels)))
        return answer

    async def SegmentShard(self, request: Any, context: Any) -> Any:  # noqa: N802 - the contract's name
        self.told.append(request.params)
        return await super().SegmentShard(request, context)


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WeightsFolder:
    monkeypatch.setattr("morula.common.models._added", {})
    folder = WeightsFolder(tmp_path / "weights")
    files = [("network", ORACLES / "unet_narrow.onnx"), ("size", ORACLES / "size_narrow.safetensors")]
    add_rows([folder.add(FAMILY, files)])
    return folder


MEASURED = 7.5


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"preset": "default"}, {"diameter_um": MEASURED, "normalize": "slide"}),
        (
            {"preset": "paper-tiles", "channels": ["inverted_gray", "none"]},
            {"diameter_um": MEASURED, "normalize": "image", "channels": ["inverted_gray", "none"]},
        ),
        ({"diameter_um": 9.0, "flow_threshold": 0.0}, {"diameter_um": 9.0, "flow_threshold": 0, "normalize": "slide"}),
    ],
)
async def test_every_shard_is_told_the_measured_size_unless_one_was_chosen(
    weights: WeightsFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    chosen: dict[str, Any],
    told: dict[str, Any],
) -> None:
    # The narrow network is random, so that what it finds may be of no size at all; a size is what is handed on.
    monkeypatch.setattr("morula.segmenter.core.median_diameter_um", lambda diameters: (MEASURED, len(diameters)))
    path = tmp_path / "tiny.tiff"
    write_slide(path, 700, 600)
    models = Models("segmenter", MODELS, weights, device="cpu", processors=Processors(1))
    async with services(tmp_path, without=("segmenter",)) as running:
        noting = Noting(running.store, Slot("segmenter", at_once=3), models, Processors(1))
        await running.start("segmenter", noting)
        async with gateway(running, tmp_path, network_dtype="float32", network_threads=3) as client:
            taken = await client.upload(path)
            job = await client.run(taken["id"], segmenter="cellpose-unet", **chosen)
    models.close()
    assert job["state"] == "succeeded"
    # Objects are measured as they will be seen.
    seen = (MEASURED, told["normalize"], told.get("channels", []))
    assert noting.measured == ([] if "diameter_um" in chosen else [seen])
    besides = {"calibration", "numerics"}
    for params in noting.told:
        assert {field.name: value for field, value in params.ListFields() if field.name not in besides} == told
    assert {(params.numerics.dtype, params.numerics.thread_count) for params in noting.told} == {("float32", 3)}
    assert job["params"]["measures_objects"] == ("diameter_um" not in chosen)
