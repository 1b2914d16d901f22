"""What networks compute in, and what computes them."""

from __future__ import annotations

from typing import Literal

Dtype = Literal["", "float32", "bfloat16"]
"""Empty stands for the device's fastest."""

Runtime = Literal["openvino", "torch"]
"""What computes on a processor a network that both can; on an accelerator it is torch."""
