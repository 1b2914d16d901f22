"""What a service with networks is told beyond what every service is told."""

from __future__ import annotations

from pydantic import Field

from morula.common.settings import ModelSettings
from morula.networks.dtypes import Runtime


class NetworkSettings(ModelSettings):
    """What networks run on; models without weights need none of it."""

    device: str = ""
    """`cpu`, `cuda`, `cuda:1`; the accelerator where there is one, if empty."""
    batch: int = Field(default=0, ge=0)
    """Crops per batch; 0 takes 64 on an accelerator and 1 on a CPU."""
    runtime: Runtime = "openvino"
    """What computes on a CPU a network that both can; on an accelerator it is torch."""
