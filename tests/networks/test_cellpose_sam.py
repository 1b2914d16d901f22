"""Cellpose-SAM with fused attention is the published network, in float32 and in bfloat16."""

import copy
from pathlib import Path
from typing import Any

import pytest

from morula.common.errors import ModelUnavailable
from tests.servers.require import networks

networks()
import torch  # noqa: E402 - only where it is installed
from torch import nn  # noqa: E402

from morula.networks.cpsam import fuse  # noqa: E402
from morula.networks.network import computing_in  # noqa: E402
from morula.networks.torch_files import load_exactly  # noqa: E402
from morula.networks.torch_runtime import fast_dtype  # noqa: E402
from morula.segmenter import cellpose_sam  # noqa: E402
from morula.segmenter.stock import randomize  # noqa: E402

torch.set_num_threads(1)
# Two neighbours of the 24 blocks, one with each of the two sizes of tables of distances that there are.
FIRST, STOP = 4, 6
BLOCKS = 2


@pytest.fixture(scope="module")
def stock() -> Any:
    network = cellpose_sam.published(STOP)
    network.encoder.blocks = network.encoder.blocks[FIRST:]
    assert len({block.attn.rel_pos_h.shape for block in network.encoder.blocks}) == BLOCKS
    return randomize(network.to_empty(device="cpu").eval())


@pytest.fixture(scope="module")
def seen(stock: Any) -> tuple[torch.Tensor, torch.Tensor]:
    crops = torch.randn(1, 3, 256, 256, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        return crops, stock(crops)[0]


def test_float32_is_the_published_network(stock: Any, seen: tuple[torch.Tensor, torch.Tensor]) -> None:
    crops, expected = seen
    with torch.inference_mode():
        found = fuse(copy.deepcopy(stock), 256)(crops)[0]
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-5


def test_bfloat16_is_no_further_from_float32_than_the_published_network(
    stock: Any, seen: tuple[torch.Tensor, torch.Tensor]
) -> None:
    crops, exact = seen
    half = copy.deepcopy(stock).to(torch.bfloat16)
    with torch.inference_mode():
        theirs = half(crops.bfloat16())[0].float()
        ours = fuse(half, 256)(crops.bfloat16())[0].float()
    assert float((ours - exact).pow(2).mean()) <= float((theirs - exact).pow(2).mean())


def test_a_file_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    state = randomize(cellpose_sam.published(BLOCKS).to_empty(device="cpu")).state_dict()
    path = tmp_path / "cpsam"
    torch.save(state, path)
    read = cellpose_sam.read_network(path).state_dict()
    assert read.keys() == state.keys()
    assert all(torch.equal(read[name], tensor) for name, tensor in state.items())
    partial = {name: tensor for name, tensor in state.items() if name != "encoder.blocks.1.attn.rel_pos_h"}
    with pytest.raises(ModelUnavailable, match=r"lacks encoder\.blocks\.1\.attn\.rel_pos_h"):
        load_exactly(cellpose_sam.published(BLOCKS), partial)


def test_a_file_computes_in_what_is_asked_for_whatever_was_asked_before(tmp_path: Path) -> None:
    path = tmp_path / "cpsam"
    torch.save(randomize(cellpose_sam.published(BLOCKS).to_empty(device="cpu")).state_dict(), path)
    cpu = torch.device("cpu")
    crops = torch.randn(1, 3, 256, 256, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        exact, half = (
            cellpose_sam.sam_network(cellpose_sam.read_network(path), "sam", cpu, dtype).compute(crops)[0]
            for dtype in (torch.float32, torch.bfloat16)
        )
        file = cellpose_sam.sam_file(path, "sam", cpu)
        assert computing_in(file, "bfloat16") is computing_in(file, "bfloat16")
        assert torch.equal(computing_in(file, "bfloat16").compute(crops)[0], half)
        assert torch.equal(computing_in(file, "float32").compute(crops)[0], exact)
        own = half if fast_dtype(cpu) == torch.bfloat16 else exact
        assert torch.equal(computing_in(file, "").compute(crops)[0], own)


def test_another_network_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "cyto3")
    with pytest.raises(ModelUnavailable, match="no Cellpose-SAM network"):
        cellpose_sam.read_network(tmp_path / "cyto3")
