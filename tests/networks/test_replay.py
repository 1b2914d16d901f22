"""The same step many times, also as a captured graph where there is a device that has such."""

import pytest

from tests.servers.require import networks

networks()
import torch  # noqa: E402 - only where it is installed

from morula.segmenter.replay import repeat  # noqa: E402
from tests.networks.comparing import DEVICES  # noqa: E402


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("count", [0, 1, 19, 20, 21, 41, 400])
def test_so_many_steps_are_done_in_their_order(device: str, count: int) -> None:
    number = torch.zeros(3, dtype=torch.float64, device=device)

    def step() -> None:
        number.mul_(0.5).add_(1)

    repeat(step, count, number.device)
    assert number.tolist() == [2 - 2.0 ** (1 - count)] * 3


@pytest.mark.skipif(torch.cuda.is_available(), reason="here steps can be captured")
def test_steps_that_cannot_be_captured_are_done_all_the_same() -> None:
    number = torch.zeros(1, dtype=torch.int64)
    repeat(lambda: number.add_(1), 67, torch.device("cuda"))
    assert number.item() == 67
