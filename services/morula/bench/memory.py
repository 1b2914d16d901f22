"""Memory of a segmenter with as many shards inside as it admits: a process of its own, asked over the wire."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from morula.bench.report import Case
from morula.bench.worker import peak_bytes, running
from morula.common.folder import FolderStore
from morula.common.models import ModelSpec
from morula.common.refs import ref_of
from morula.common.testing import FakeShard, fake_shard
from morula.v1.artifact_pb2 import ModelRef
from morula.v1.segmenter_pb2 import SegmentParams, SegmentShardRequest
from morula.v1.segmenter_pb2_grpc import SegmenterServiceStub

SHARDS = 3
TILE_PX = 512
TIMEOUT_S = 600.0
BOUND_GB = 1.5


def case(model: ModelSpec, weights: Path | None = None) -> Case:
    """Peak of the process while shards of whole regions come and go; networks take long, and see one each."""
    side_px, rounds = (2048, 1) if model.is_network else (4096, 2)
    with tempfile.TemporaryDirectory(prefix="mo-", dir="/tmp") as folder:
        root = Path(folder) / "store"
        store = FolderStore(root)
        shards = [fake_shard(size_px=side_px, tile_px=TILE_PX, seed=seed) for seed in range(SHARDS)]
        requests = [[_request(store, shards[n], model, f"{n}-{k}") for k in range(rounds)] for n in range(SHARDS)]
        settings = {"ADMIT": str(SHARDS), "DEVICE": "cpu"} | ({"WEIGHTS_DIR": str(weights)} if weights else {})
        with running("morula.segmenter", Path(folder) / "s", root, **settings) as (channel, pid):
            stub = SegmenterServiceStub(channel)
            with ThreadPoolExecutor(SHARDS) as callers:
                list(callers.map(lambda mine: [stub.SegmentShard(one, timeout=TIMEOUT_S) for one in mine], requests))
            peak = peak_bytes(pid)
    return Case(f"memory with {SHARDS} shards inside, {model.name}", round(peak / 1e9, 2), "GB", f"<={BOUND_GB}")


def _request(store: FolderStore, shard: FakeShard, model: ModelSpec, name: str) -> SegmentShardRequest:
    pixels, tiles = (
        store.put(f"p/s/pixels/{name}.arrow", shard.pixels),
        store.put(f"p/s/tiles/{name}.parquet", shard.tiles),
    )
    return SegmentShardRequest(
        pixels=ref_of(pixels),
        tiles=ref_of(tiles),
        model=ModelRef(name=model.name, revision=model.revision),
        params=SegmentParams(normalize="image"),
        cells_key=f"p/s/cells/{name}.parquet",
    )
