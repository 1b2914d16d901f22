"""Devices: which one is taken, and whether it still computes. An accelerator is torch's business."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from morula.common.processor import computes_in_bfloat16
from morula.networks.dtypes import Dtype, Runtime
from morula.networks.installed import imported

PROCESSOR = "cpu"
# There where the driver is, also in a container; torch is asked only then, for to import it takes seconds.
_DRIVER = Path("/proc/driver/nvidia")


def best_device() -> str:
    """The accelerator where there is one that torch can use."""
    if not (_DRIVER.exists() and find_spec("torch")):
        return PROCESSOR
    return "cuda" if imported("torch").cuda.is_available() else PROCESSOR


def runtime_there() -> Runtime:
    """What computes on a processor where torch is there in any case, as where networks are trained."""
    return "openvino" if find_spec("openvino") else "torch"


def is_processor(device: str) -> bool:
    return device == PROCESSOR


def still_computes(device: str) -> bool:
    """Whether the device adds up as it should."""
    if is_processor(device):
        return True
    torch = imported("torch")
    ones = torch.ones(8, 8, device=device)
    return bool((ones @ ones).sum().item() == 512.0)


def fast_dtype() -> Dtype:
    """What this processor is fastest in."""
    return "bfloat16" if computes_in_bfloat16() else "float32"
