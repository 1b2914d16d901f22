"""Networks by torch: on an accelerator, or on a processor where an operator wants it so."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from morula.networks.dtypes import Dtype
from morula.networks.network import FEATURE_STEP_PX, Answer, Batch, OutOfMemory

Compute = Callable[[Tensor], Sequence[Tensor]]
"""Crops -> maps, styles and, where the network has them, features of each pixel."""

TORCH_DTYPES: dict[Dtype, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_FIRST_WITH_BF16 = 8  # Compute capability.


class TorchNetwork:
    """A network on a device, computing in one dtype."""

    def __init__(
        self,
        compute: Compute,
        name: str,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        layout: torch.memory_format = torch.contiguous_format,
    ) -> None:
        self.name = name
        self.dtype = dtype
        self._compute = compute
        self._device = torch.device(device)
        self._layout = layout

    def compute(self, crops: Tensor) -> Sequence[Tensor]:
        """What the network says of crops that lie on its device."""
        return self._compute(crops.to(self.dtype, memory_format=self._layout))

    def __call__(self, batch: Batch) -> Answer:
        if self._device.type == "cpu":
            torch.set_num_threads(batch.threads)
        try:
            return self._answer(batch)
        except torch.OutOfMemoryError as error:
            reason = str(error)
        # Not in the except block above: there the error still holds the tensors that did not fit.
        torch.cuda.empty_cache()
        raise OutOfMemory(reason)

    @torch.inference_mode()
    def _answer(self, batch: Batch) -> Answer:
        is_host = self._device.type == "cpu"
        # A device copies at full speed from pinned memory.
        crops = torch.zeros(batch.shape, pin_memory=not is_host)
        batch.packed(crops.numpy())
        maps, styles, *features = self.compute(crops.to(self._device, non_blocking=True))
        # Copied, because a slice would keep the memory of the whole batch.
        said = maps[: batch.filled].float().clone()
        seen = [functional.avg_pool2d(each[: batch.filled], FEATURE_STEP_PX).half().cpu().numpy() for each in features]
        answer = Answer(
            said.numpy() if is_host else said,
            styles[: batch.filled].float().cpu().numpy(),
            seen[0] if seen else None,
        )
        if not is_host:
            torch.cuda.current_stream(self._device).synchronize()
        return answer


def fastest(device: str | torch.device) -> Dtype:
    """What a device is fastest in, by its name."""
    return "bfloat16" if fast_dtype(device) == torch.bfloat16 else "float32"


def fast_dtype(device: str | torch.device) -> torch.dtype:
    """bfloat16 where the device computes with it, else float32."""
    if torch.device(device).type == "cuda":
        # Older GPUs emulate it, slower than they are with float32.
        return torch.bfloat16 if torch.cuda.get_device_properties(device).major >= _FIRST_WITH_BF16 else torch.float32
    has_bf16: bool = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if has_bf16 else torch.float32
