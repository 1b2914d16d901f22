"""What networks compute in."""

from __future__ import annotations

from typing import Literal

Dtype = Literal["", "float32", "bfloat16"]
"""Empty stands for the device's fastest."""
