"""Slides as the store has them, offered to the sampler; and what it took, with the ids of its cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from morula.common.errors import ArtifactInvalid, InvalidArgument, of_artifact
from morula.common.refs import key_of
from morula.common.store import Store
from morula.common.tables import TILE_PLACE, read_index, read_metadata, read_tile_places
from morula.evaluator.sampling import Ints, Offer, Sample, Sampled
from morula.evaluator.sampling import sample as sampled
from morula.v1.evaluator_pb2 import (
    LeftOutReason,
    OfferedSlide,
    SampledTile,
    SampleTilesRequest,
    SampleTilesResponse,
    TilesLeftOut,
)

REASON = "LEFT_OUT_REASON_"


@dataclass(frozen=True)
class Slide:
    """The tiles that were read, in the order of their numbers, and the tile of each cell."""

    places: pa.Table
    mpp: float
    tile_of_cell: Ints
    cell_ids: pa.ChunkedArray

    @classmethod
    def read(cls, store: Store, message: OfferedSlide) -> Slide:
        with store.local_path(*key_of(message.tiles)) as path, of_artifact(message.tiles.key):
            tiles = read_tile_places(path)
        with store.local_path(*key_of(message.settled.index)) as path, of_artifact(message.settled.index.key):
            index = read_index(path, ["tile", "cell_id"])
        of_cell = index["tile"].to_numpy().astype(np.int64)
        missing = np.setdiff1d(of_cell, tiles["tile"].to_numpy())
        if len(missing):
            raise ArtifactInvalid(f"tile {missing[0]} has cells and is not among the slide's tiles")
        return cls(tiles, float(read_metadata(tiles)["mpp"]), of_cell, index["cell_id"])

    def offer(self, name: str) -> Offer:
        tiles = self.places["tile"].to_numpy().astype(np.int64)
        found, counts = np.unique(self.tile_of_cell, return_counts=True)
        cells = np.zeros(len(tiles), np.int64)
        cells[np.searchsorted(tiles, found)] = counts
        return Offer(name, tiles, cells)

    def message(self, one: Sampled) -> SampledTile:
        at = int(np.searchsorted(self.places["tile"].to_numpy(), one.tile))
        place: dict[str, Any] = {name: self.places[name][at].as_py() for name in TILE_PLACE}
        rows = np.flatnonzero(self.tile_of_cell == one.tile)
        ids = self.cell_ids.take(rows).to_pylist()
        return SampledTile(batch=one.batch, slide=one.slide, mpp=self.mpp, cell_ids=ids, **place)


def sample(store: Store, request: SampleTilesRequest) -> SampleTilesResponse:
    """Tiles of these slides in batches."""
    if request.batch_count < 1 or request.cells_per_batch < 1 or not request.slides:
        raise InvalidArgument("a sample needs a slide, a batch and a cell for each batch")
    slides = [Slide.read(store, message) for message in request.slides]
    offers = [slide.offer(message.name) for slide, message in zip(slides, request.slides, strict=True)]
    found = sampled(offers, request.batch_count, request.cells_per_batch, request.seed)
    return SampleTilesResponse(tiles=[slides[one.slide].message(one) for one in found.tiles], left_out=_left_out(found))


def _left_out(found: Sample) -> Iterator[TilesLeftOut]:
    for one in found.left_out:
        reason = LeftOutReason.Value(f"{REASON}{one.reason.upper()}")
        yield TilesLeftOut(slide=one.slide, reason=reason, tile_count=one.tiles, cell_count=one.cells)
