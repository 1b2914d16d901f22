"""A small U-Net with random weights, and what is asked of a segmenter that has it."""

from __future__ import annotations

from pathlib import Path

from morula.common.folder import FolderStore
from morula.common.models import FAMILIES, ModelSpec
from morula.common.testing import FakeShard
from morula.v1 import artifact_pb2, segmenter_pb2

UNET = Path(__file__).parents[1] / "oracles" / "unet_narrow.onnx"
FAMILY = next(row for row in FAMILIES if row.name == "cellpose-unet")
# The network is random: everything is foreground to it, and what its flows lead to one place at the edge is a cell.
GENEROUS = {"cellprob_threshold": -20.0, "flow_threshold": 0.0, "max_size_fraction": 1.0, "min_area_um2": 0.25}


def put(store: FolderStore, key: str, content: bytes) -> artifact_pb2.ObjectRef:
    stored = store.put(key, content)
    return artifact_pb2.ObjectRef(key=stored.key, sha256=stored.sha256, size_bytes=stored.size_bytes)


def request_for(
    store: FolderStore, shard: FakeShard, model: ModelSpec, key: str, **params: object
) -> segmenter_pb2.SegmentShardRequest:
    return segmenter_pb2.SegmentShardRequest(
        pixels=put(store, key.replace("cells", "pixels"), shard.pixels),
        tiles=put(store, key.replace("cells", "tiles"), shard.tiles),
        model=artifact_pb2.ModelRef(name=model.name, revision=model.revision),
        params=segmenter_pb2.SegmentParams(normalize="image", **params),  # type: ignore[arg-type]
        cells_key=key,
    )
