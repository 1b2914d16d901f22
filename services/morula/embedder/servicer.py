"""EmbedderService: keys in, keys out; the work is in `core`."""

from __future__ import annotations

import asyncio

import numpy as np
import pyarrow as pa

from morula.common.compute import Checkpoint, Slot
from morula.common.errors import ArtifactInvalid, of_artifact
from morula.common.formats import read_array, read_cells, write_array, write_morphology
from morula.common.models import ModelSpec, resolve
from morula.common.pixels import read_regions
from morula.common.store import Store, Stored
from morula.embedder import core
from morula.v1 import artifact_pb2, embedder_pb2, embedder_pb2_grpc


class EmbedderServicer(embedder_pb2_grpc.EmbedderServiceServicer):
    """Runs one shard at a time on its slot."""

    def __init__(self, store: Store, slot: Slot) -> None:
        self._store = store
        self._slot = slot

    async def EmbedCells(  # noqa: N802 - the contract's name
        self, request: embedder_pb2.EmbedCellsRequest, _context: object
    ) -> embedder_pb2.EmbedCellsResponse:
        spec = resolve(request.model.name, request.model.revision, "embedder")
        found = [
            await asyncio.to_thread(self._store.stat, key) for key in (request.vectors_key, request.morphology_key)
        ]
        stored = [item for item in found if item]
        if len(stored) < len(found):
            stored = await self._slot.run(lambda checkpoint: self._embed(request, spec, checkpoint))
        return await asyncio.to_thread(self._response, *stored)

    def _embed(self, request: embedder_pb2.EmbedCellsRequest, spec: ModelSpec, checkpoint: Checkpoint) -> list[Stored]:
        columns = self._columns(request, core.measured(spec.columns), checkpoint)
        metadata = {"model": {"name": spec.name, "revision": spec.revision}}
        morphology = self._store.put(request.morphology_key, write_morphology(columns, metadata))
        vectors = self._store.put(request.vectors_key, write_array(core.vectors(columns, spec.columns)))
        return [vectors, morphology]

    def _response(self, vectors: Stored, morphology: Stored) -> embedder_pb2.EmbedCellsResponse:
        with of_artifact(vectors.key):
            shape = read_array(self._store.get(vectors.key, vectors.sha256)).shape
        return embedder_pb2.EmbedCellsResponse(
            vectors=_reference(vectors),
            morphology=_reference(morphology),
            cell_count=shape[0],
            dimension_count=shape[1],
        )

    def _columns(
        self, request: embedder_pb2.EmbedCellsRequest, names: list[str], checkpoint: Checkpoint
    ) -> core.Columns:
        """Morphology of all cells, in the order of their table."""
        with of_artifact(request.cells.key):
            table = read_cells(self._store.get(request.cells.key, request.cells.sha256), columns=["geometry", "region"])
        region_of = table["region"].to_numpy()
        columns = {name: np.full(table.num_rows, np.nan) for name in names}
        embedded = np.zeros(table.num_rows, bool)
        pixels = request.pixels
        with self._store.local_path(pixels.key, pixels.sha256) as path, of_artifact(pixels.key):
            for region in read_regions(path):
                checkpoint()
                rows = np.flatnonzero(region_of == region.index)
                if rows.size == 0:
                    continue
                with of_artifact(request.cells.key):
                    part = core.embed_region(region, table.take(pa.array(rows)), request.calibration.stain_matrix)
                for name in names:
                    columns[name][rows] = part[name]
                embedded[rows] = True
        if not embedded.all():
            missing = int((~embedded).sum())
            raise ArtifactInvalid(f"{missing} cells lie in regions whose pixels are not in the shard", key=pixels.key)
        return columns


def _reference(stored: Stored) -> artifact_pb2.ObjectRef:
    return artifact_pb2.ObjectRef(key=stored.key, sha256=stored.sha256, size_bytes=stored.size_bytes)
