"""The small network of ours as an embedder: each cell with its own mask, at the size at which it learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from morula.common.errors import InvalidArgument, ModelUnavailable
from morula.common.models import ModelSpec, unit_columns
from morula.embedder.crops import Crops, Windows
from morula.embedder.instances import RegionCells
from morula.embedder.network_embedder import NetworkEmbedder
from morula.networks import cell_net_files
from morula.networks.cell_net_graph import CellNetConfig, crop_px
from morula.networks.cell_net_runtimes import cell_net
from morula.networks.crop_queue import CropQueue
from morula.networks.files import DIAMETER, State


def described(spec: ModelSpec, files: Sequence[tuple[str, Path]]) -> ModelSpec:
    """The row with what its file says: how many numbers a vector has, and how much is shown around a cell."""
    if spec.window_um or spec.context_um:
        raise InvalidArgument(
            f"{spec.name} shows cells as it saw them when it learned: leave out --window-um and --context-um; "
            "--object-um says how large cells are"
        )
    state = _state(spec, files)
    columns, location, scale = unit_columns(CellNetConfig.of(state).dimension_count)
    side_um = crop_px(state) * spec.object_um / state[DIAMETER].item()
    return replace(spec, columns=columns, location=location, scale=scale, window_um=side_um)


def load(spec: ModelSpec, files: Sequence[tuple[str, Path]], queue: CropQueue) -> NetworkEmbedder:
    """The registry's row with its file."""
    state = _state(spec, files)
    side_px = crop_px(state)

    def masked(cells: RegionCells) -> Crops:
        return Windows(cells, spec.window_um, side_px, fades=False, masks=True)

    network = cell_net(state, spec.name, queue.device, queue.runtime)
    return NetworkEmbedder(network, queue, [masked], masked)


def _state(spec: ModelSpec, files: Sequence[tuple[str, Path]]) -> State:
    if len(files) != 1:
        raise ModelUnavailable(f"{spec.name}: an embedder is one file, not {len(files)}", model=spec.name)
    return cell_net_files.read(files[0][1])
