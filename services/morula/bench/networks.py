"""Networks that benches need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from morula.common.models import families
from morula.networks.installed import INSTALL
from morula.onebox.failures import Failure
from morula.segmenter.instances import Model


def need_networks() -> None:
    """What networks need is heavy, and the demonstration does without."""
    missing = [name for name in ("torch", "cellpose") if find_spec(name) is None]
    if missing:
        raise Failure(f"not installed: {', '.join(missing)}; {INSTALL}")


@contextmanager
def trained_unet(data: Path) -> Iterator[Model | None]:
    """The trained U-Net of the optional data; None where that is not here."""
    path = data / "weights" / "cpnet_nuclei.pth"
    if not path.is_file():
        yield None
        return
    need_networks()
    from morula.networks.crop_queue import CropQueue
    from morula.segmenter import cellpose_unet

    queue = CropQueue("cpu")
    try:
        yield cellpose_unet.load(families()["cellpose-unet"], [("network", path)], queue)
    finally:
        queue.close()
