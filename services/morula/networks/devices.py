"""Devices: which one is taken, and what it is fast with."""

from __future__ import annotations

import torch

from morula.networks.dtypes import Dtype

_TORCH_DTYPES: dict[Dtype, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_FIRST_WITH_BF16 = 8  # Compute capability.


def best_device() -> str:
    """The accelerator where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def torch_dtype(dtype: Dtype, device: torch.device) -> torch.dtype:
    """The dtype asked for, or the device's fastest."""
    return _TORCH_DTYPES[dtype] if dtype else fast_dtype(device)


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the device computes with it, else float32."""
    if device.type == "cuda":
        # Older GPUs emulate it, slower than they are with float32.
        return torch.bfloat16 if torch.cuda.get_device_properties(device).major >= _FIRST_WITH_BF16 else torch.float32
    has_bf16: bool = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if has_bf16 else torch.float32
