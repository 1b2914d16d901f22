"""Slides as the store has them, offered to the sampler; and what it took, with the ids of its cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from morula.common.compute import Checkpoint
from morula.common.errors import ArtifactInvalid, InvalidArgument, of_artifact
from morula.common.refs import key_of
from morula.common.store import Store
from morula.common.tables import TILE_PLACE, read_index, read_metadata, read_tile_places
from morula.evaluator.sampling import Offer, Sample, Sampled
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
SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")


def sample(store: Store, request: SampleTilesRequest, checkpoint: Checkpoint) -> SampleTilesResponse:
    """Tiles of these slides in batches. One slide's cells are in memory at a time, however many slides there are."""
    if request.batch_count < 1 or request.cells_per_batch < 1 or not request.slides:
        raise InvalidArgument("a sample needs a slide, a batch and a cell for each batch")
    offers: list[Offer] = []
    for message in request.slides:
        checkpoint()
        offers.append(_offer(store, message))
    found = sampled(offers, request.batch_count, request.cells_per_batch, request.seed)
    taken: dict[int, list[int]] = {}
    for place, one in enumerate(found.tiles):
        taken.setdefault(one.slide, []).append(place)
    tiles: dict[int, SampledTile] = {}
    for slide, places in taken.items():
        checkpoint()
        of_slide = _tiles(store, request.slides[slide], [found.tiles[place] for place in places])
        tiles.update(zip(places, of_slide, strict=True))
    return SampleTilesResponse(tiles=[tiles[place] for place in range(len(tiles))], left_out=_left_out(found))


def _offer(store: Store, message: OfferedSlide) -> Offer:
    tiles = _places(store, message)["tile"].to_numpy().astype(np.int64)
    found, counts = np.unique(_index(store, message, ["tile"])["tile"].to_numpy(), return_counts=True)
    missing = np.setdiff1d(found, tiles)
    if len(missing):
        raise ArtifactInvalid(f"tile {missing[0]} has cells and is not among the slide's tiles")
    cells = np.zeros(len(tiles), np.int64)
    cells[np.searchsorted(tiles, found)] = counts
    return Offer(message.name, tiles, cells)


def _tiles(store: Store, message: OfferedSlide, taken: Sequence[Sampled]) -> Iterator[SampledTile]:
    """What was taken of a slide, with the ids of its cells."""
    places, index = _places(store, message), _index(store, message, ["tile", "cell_id"])
    mpp = float(read_metadata(places)["mpp"])
    numbers, of_cell = places["tile"].to_numpy(), index["tile"].to_numpy()
    order = np.argsort(of_cell, kind="stable")
    by_tile = of_cell[order]
    for one in taken:
        at = int(np.searchsorted(numbers, one.tile))
        place: dict[str, Any] = {name: places[name][at].as_py() for name in TILE_PLACE}
        first, stop = (int(np.searchsorted(by_tile, one.tile, side)) for side in SIDES)
        ids = index["cell_id"].take(order[first:stop]).to_pylist()
        yield SampledTile(batch=one.batch, slide=one.slide, mpp=mpp, cell_ids=ids, **place)


def _places(store: Store, message: OfferedSlide) -> pa.Table:
    with store.local_path(*key_of(message.tiles)) as path, of_artifact(message.tiles.key):
        return read_tile_places(path)


def _index(store: Store, message: OfferedSlide, columns: list[str]) -> pa.Table:
    ref = message.settled.index
    with store.local_path(*key_of(ref)) as path, of_artifact(ref.key):
        return read_index(path, columns)


def _left_out(found: Sample) -> Iterator[TilesLeftOut]:
    for one in found.left_out:
        reason = LeftOutReason.Value(f"{REASON}{one.reason.upper()}")
        yield TilesLeftOut(slide=one.slide, reason=reason, tile_count=one.tiles, cell_count=one.cells)
