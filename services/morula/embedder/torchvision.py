"""Any backbone of torchvision as an embedder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from morula.common.models import ModelSpec
from morula.embedder import library
from morula.embedder.network_embedder import NetworkEmbedder
from morula.networks.crop_queue import CropQueue
from morula.networks.torchvision_backbones import definition


def described(spec: ModelSpec, _files: Sequence[tuple[str, Path]]) -> ModelSpec:
    """The row with what torchvision says of its network."""
    return library.described(spec, definition)


def load(spec: ModelSpec, files: Sequence[tuple[str, Path]], queue: CropQueue) -> NetworkEmbedder:
    """The registry's row with its file."""
    return library.load(spec, files, queue, definition)
