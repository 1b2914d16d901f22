"""EmbedderService: keys in, keys out; the work is in `core` and in the models."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from morula.common import answers
from morula.common.compute import Checkpoint, Slot
from morula.common.errors import ArtifactInvalid, Internal, ModelUnavailable, of_artifact
from morula.common.formats import Metadata, read_cells, write_array, write_morphology
from morula.common.models import ModelSpec, resolve
from morula.common.pixels import read_regions
from morula.common.refs import ref_of, stain_of
from morula.common.stain import Staining
from morula.common.store import Store, Stored
from morula.common.tables import NETWORK_FEATURES, UNEMBEDDED
from morula.embedder import core
from morula.embedder.backends import MODELS, morphology_of
from morula.embedder.instances import Columns, Computing, Embedder, RegionCells, Vectors
from morula.networks.asked import numerics_of
from morula.v1 import embedder_pb2, embedder_pb2_grpc


class EmbedderServicer(embedder_pb2_grpc.EmbedderServiceServicer):
    """Runs one shard at a time on its slot."""

    def __init__(self, store: Store, slot: Slot, models: Mapping[str, Embedder] = MODELS) -> None:
        self._store = store
        self._slot = slot
        self._models = models

    async def EmbedCells(  # noqa: N802 - the contract's name
        self, request: embedder_pb2.EmbedCellsRequest, _context: object
    ) -> embedder_pb2.EmbedCellsResponse:
        spec = resolve(request.model.name, request.model.revision, "embedder")
        if spec.name not in self._models:
            raise ModelUnavailable(f"this embedder does not run {spec.name!r}", model=spec.name)
        spec.check_stain(stain_of(request.calibration.stain))
        stats = [
            await asyncio.to_thread(self._store.stat, key) for key in (request.vectors_key, request.morphology_key)
        ]
        stored = [stat for stat in stats if stat]
        if len(stored) < len(stats):
            stored = await self._slot.run(lambda checkpoint: self._embed(request, spec, checkpoint))
        return await asyncio.to_thread(answers.embedded, self._store, *map(ref_of, stored))

    def _embed(self, request: embedder_pb2.EmbedCellsRequest, spec: ModelSpec, checkpoint: Checkpoint) -> list[Stored]:
        vectors, columns = self._vectors_and_columns(request, spec, checkpoint)
        stain = stain_of(request.calibration.stain)
        metadata: Metadata = {"model": {"name": spec.name, "revision": spec.revision}, "stain": stain}
        without = np.flatnonzero(np.isnan(vectors).any(axis=1))
        if without.size:
            metadata[UNEMBEDDED] = without.tolist()
        morphology = self._store.put(request.morphology_key, write_morphology(columns, metadata))
        return [self._store.put(request.vectors_key, write_array(vectors)), morphology]

    def _vectors_and_columns(
        self, request: embedder_pb2.EmbedCellsRequest, spec: ModelSpec, checkpoint: Checkpoint
    ) -> tuple[NDArray[np.float16], Columns]:
        """Of all cells, in the order of their table; NaN where there are none."""
        with of_artifact(request.cells.key):
            read = ["geometry", "region", *([NETWORK_FEATURES] if spec.segmenter else [])]
            table = read_cells(self._store.get(request.cells.key, request.cells.sha256), columns=read)
        model = self._model(request, spec)
        region_of = table["region"].to_numpy()
        vectors = np.full((table.num_rows, len(spec.columns)), np.nan, np.float16)
        staining = Staining(stain_of(request.calibration.stain), request.calibration.stain_matrix)
        columns = {name: np.full(table.num_rows, np.nan) for name in morphology_of(staining.stain)}
        seen = np.zeros(table.num_rows, bool)
        pixels = request.pixels
        with self._store.local_path(pixels.key, pixels.sha256) as path, of_artifact(pixels.key):
            for region in read_regions(path):
                checkpoint()
                here = np.flatnonzero(region_of == region.index)
                seen[here] = True
                with of_artifact(request.cells.key):
                    some = table.take(pa.array(here))
                    covering, cells = core.cells_of_region(region, some, staining)
                if cells is None:
                    continue
                rows = here[covering]
                vectors[rows] = _checked(model(cells, checkpoint), cells, spec)
                for name, values in columns.items():
                    values[rows] = cells.morphology[name]
        if not seen.all():
            missing = int((~seen).sum())
            raise ArtifactInvalid(f"{missing} cells lie in regions whose pixels are not in the shard", key=pixels.key)
        return vectors, columns

    def _model(self, request: embedder_pb2.EmbedCellsRequest, spec: ModelSpec) -> Embedder:
        model = self._models[spec.name]
        return model.computing(*numerics_of(request.numerics)) if isinstance(model, Computing) else model


def _checked(vectors: Vectors, cells: RegionCells, spec: ModelSpec) -> NDArray[np.float16]:
    """Vectors as they are stored: as many and as long as the row says, NaN where any number is not finite."""
    expected = (cells.polygons.size, len(spec.columns))
    if vectors.shape != expected:
        raise Internal(f"{spec.name} says {vectors.shape} numbers where its row says {expected}")
    with np.errstate(over="ignore"):
        halves = vectors.astype(np.float16)
    halves[~np.isfinite(halves).all(axis=1)] = np.nan
    return halves
