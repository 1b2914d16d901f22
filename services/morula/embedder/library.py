"""Backbones that a library defines by name, as embedders: an operator's file, by the names of the library's tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from morula.common.errors import InvalidArgument, ModelUnavailable
from morula.common.models import ModelSpec, unit_columns
from morula.embedder.network_embedder import NetworkEmbedder, box_of, views_of
from morula.networks.crop_queue import CropQueue
from morula.networks.definitions import Definition, dimension_count, network_of, read

Defined = Callable[[str], Definition]


def described(spec: ModelSpec, defined: Defined) -> ModelSpec:
    """The row with what the library says of its network: the length of a vector, and how pictures are shown."""
    if not spec.backbone:
        raise InvalidArgument(f"say which network of {spec.family} the file is of: --backbone NAME")
    definition = defined(spec.backbone)
    columns, location, scale = unit_columns(dimension_count(definition))
    return replace(
        spec,
        columns=columns,
        location=location,
        scale=scale,
        mean=definition.mean,
        std=definition.std,
        picture_px=definition.side_px,
    )


def load(spec: ModelSpec, files: Sequence[tuple[str, Path]], queue: CropQueue, defined: Defined) -> NetworkEmbedder:
    """The registry's row with its file."""
    if len(files) != 1:
        raise ModelUnavailable(f"{spec.name}: an embedder is one file, not {len(files)}", model=spec.name)
    definition = defined(spec.backbone)
    network = network_of(definition, read(definition, files[0][1]), spec.name, queue.device, spec.mean, spec.std)
    return NetworkEmbedder(network, queue, views_of(spec), box_of(spec))
