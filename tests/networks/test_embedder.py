"""An embedder's network is one file and one row: added, checked, run, and clustered by."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import pytest

from morula import embedder
from morula.common.arrays import read_array
from morula.common.compute import Processors, Slot
from morula.common.errors import ModelUnavailable
from morula.common.models import FAMILIES, ModelSpec, add_rows, find
from morula.common.rpc import from_rpc_error
from morula.common.tables import read_morphology
from morula.common.testing import fake_shard, running, temporary_store, write_slide
from morula.common.weights import WeightsFolder
from morula.embedder.backends import MODELS, morphology_of
from morula.embedder.servicer import EmbedderServicer
from morula.networks.models import Models
from morula.onebox.failures import WrongUse
from morula.onebox.folder import DataFolder
from morula.onebox.models import Wishes, add
from morula.v1 import artifact_pb2, embedder_pb2_grpc
from tests.contract.test_embedder import request_for
from tests.servers.gateway import gateway, services
from tests.servers.require import networks
from tests.unit.embedder.test_crops import cells_of, real_cells

networks()
import torch  # noqa: E402 - only where it is installed
from safetensors.torch import save_file  # noqa: E402
from torch import nn  # noqa: E402

FILES = Path(__file__).parents[1] / "fixtures" / "embedders"
COLUMNS = ("first", "second", "third", "fourth")
ROW = replace(
    find("morphology", "embedder"),
    name="tiny",
    family="tiny",
    columns=COLUMNS,
    location=(0.0,) * len(COLUMNS),
    scale=(1.0,) * len(COLUMNS),
    stains=(),
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataFolder]:
    """A data folder of a version that has the family: its row is in the registry, its file beside the others."""
    monkeypatch.setattr("morula.common.models.FAMILIES", (*FAMILIES, ROW))
    monkeypatch.setattr("morula.common.models._added", {})
    monkeypatch.setattr(embedder, "__path__", [*embedder.__path__, str(FILES)])
    yield DataFolder(tmp_path / "data")
    sys.modules.pop("morula.embedder.tiny", None)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = nn.Conv2d(3, len(COLUMNS), 16)
    path = tmp_path / "tiny.safetensors"
    save_file({f"look.{name}": tensor for name, tensor in network.state_dict().items()}, path)
    return path


@pytest.fixture
def models(folder: DataFolder, weights: Path) -> Iterator[Models]:  # type: ignore[type-arg]
    add(folder, "tiny", [weights], None, Wishes())
    opened = Models("embedder", MODELS, WeightsFolder(folder.weights), device="cpu", processors=Processors(1))
    add_rows(opened.rows)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("family", "wishes", "says"),
    [
        ("resnet50", Wishes(window_um=24.0), "its own name with --as"),
        ("cellpose-unet", Wishes("mine", context_um=60.0), "a window is an embedder's"),
    ],
)
def test_a_way_to_show_cells_is_a_model_of_its_own(
    folder: DataFolder, weights: Path, family: str, wishes: Wishes, says: str
) -> None:
    with pytest.raises(WrongUse, match=says):
        add(folder, family, [weights], None, wishes)


def test_a_file_of_another_network_is_refused(folder: DataFolder, tmp_path: Path) -> None:
    save_file(nn.Linear(3, 2).state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(ModelUnavailable, match="lacks look"):
        add(folder, "tiny", [tmp_path / "other.safetensors"], None, Wishes())
    assert not folder.weights.exists()


async def test_vectors_are_the_networks_and_morphology_lies_beside_them(models: Models) -> None:  # type: ignore[type-arg]
    shard = fake_shard()
    with temporary_store() as store:
        async with running(EmbedderServicer(store, Slot("embedder"), models)) as channel:
            stub = embedder_pb2_grpc.EmbedderServiceStub(channel)
            request = request_for(store, shard)
            request.model.CopyFrom(ref(find("tiny", "embedder")))
            made = await stub.EmbedCells(request)
            assert (made.cell_count, made.dimension_count) == (len(shard.nuclei.x_px), len(COLUMNS))
        vectors = read_array(store.get(made.vectors.key))
        assert (vectors.dtype, vectors.shape) == (np.float16, (made.cell_count, made.dimension_count))
        assert np.ptp(vectors.astype(np.float32), axis=0).min() > 0, "cells differ in every number"
        assert tuple(read_morphology(store.get(made.morphology.key)).column_names) == tuple(morphology_of("H&E"))


async def test_a_model_that_is_not_here_is_refused(models: Models) -> None:  # type: ignore[type-arg]
    with temporary_store() as store:
        async with running(EmbedderServicer(store, Slot("embedder"))) as channel:
            request = request_for(store, fake_shard())
            request.model.CopyFrom(ref(find("tiny", "embedder")))
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await embedder_pb2_grpc.EmbedderServiceStub(channel).EmbedCells(request)
    assert from_rpc_error(caught.value).reason == "MODEL_UNAVAILABLE"


def ref(spec: ModelSpec) -> artifact_pb2.ModelRef:
    return artifact_pb2.ModelRef(name=spec.name, revision=spec.revision)


async def test_a_slide_is_clustered_by_its_vectors(models: Models, tmp_path: Path) -> None:  # type: ignore[type-arg]
    path = tmp_path / "small.tiff"
    write_slide(path, 1200, 700)
    async with services(tmp_path, without=("embedder",)) as served:
        await served.start("embedder", EmbedderServicer(served.store, Slot("embedder"), models))
        async with gateway(served, tmp_path) as client:
            taken = await client.upload(path)
            job = await client.run(taken["id"], embedder="tiny")
    assert job["state"] == "succeeded", job["error"]
    assert job["params"]["embedder"] == "tiny"
    assert job["cell_count"] > 0


DATA = Path(os.environ.get("MORULA_DATA", "../shared/data"))


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Models]:  # type: ignore[type-arg]
    """A trained network, added as an operator adds it."""
    file = DATA / "weights" / "mobilenet_v2_imagenet_from_tflite_fp16.pth"
    if not file.is_file():
        pytest.skip(f"no weights at {DATA} (set MORULA_DATA)")
    monkeypatch.setattr("morula.common.models._added", {})
    folder = DataFolder(tmp_path / "data")
    add(folder, "mobilenet_v2", [file], None, Wishes())
    opened = Models("embedder", MODELS, WeightsFolder(folder.weights), device="cpu", processors=Processors(1))
    add_rows(opened.rows)
    yield opened
    opened.close()


async def test_a_shard_is_described_by_a_trained_network_in_batches(real: Models) -> None:  # type: ignore[type-arg]
    shard, asked = fake_shard(), 0

    class Noted(Slot):
        async def run(self, work):  # type: ignore[no-untyped-def]
            def checkpoint() -> None:
                nonlocal asked
                asked += 1

            return await super().run(lambda _: work(checkpoint))

    with temporary_store() as store:
        async with running(EmbedderServicer(store, Noted("embedder"), real)) as channel:
            request = request_for(store, shard)
            request.model.CopyFrom(ref(find("mobilenet_v2", "embedder")))
            request.numerics.dtype = "float32"
            made = await embedder_pb2_grpc.EmbedderServiceStub(channel).EmbedCells(request)
        vectors = read_array(store.get(made.vectors.key)).astype(np.float32)
    assert vectors.shape == (len(shard.nuclei.x_px), 1280)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=0.01)
    assert made.unembedded_cell_count == 0
    assert asked > made.cell_count, "whoever leaves is noticed between pictures"


def test_a_trained_network_sees_a_cell_the_same_whichever_way_it_lies(real: Models) -> None:  # type: ignore[type-arg]
    pixels, labels = real_cells()
    turned = cells_of(np.rot90(pixels), np.rot90(labels))
    upright = cells_of(pixels, labels)
    model = real["mobilenet_v2"].computing("float32", 1)
    every = np.arange(labels.max())
    one, other = (model.views[0](cells)(every) for cells in (upright, turned))
    vectors, again, lying = (model.vectors(seen, lambda: None) for seen in (one, other, np.rot90(one, axes=(2, 3))))
    # How much nearer a cell is to itself, turned, than to the cell that is most like it.
    among = vectors @ vectors.T - 2 * np.eye(len(vectors))
    own = (vectors * again).sum(axis=1)
    assert (own > among.max(axis=1)).mean() > 0.95
    assert np.median(own) > 0.99
    assert np.median((vectors * lying).sum(axis=1)) < 0.9, "a picture that is turned would be seen otherwise"
