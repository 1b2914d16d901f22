"""Cells as GeoJSON in the dialect that QuPath reads: detections with a classification and measurements, streamed."""

import json
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from morula.gateway.views import Ring, SlideRows

BATCH_ROWS = 4096


@dataclass(frozen=True)
class Classification:
    """What a cell is called, and in which colour QuPath shows it."""

    name: str
    color: str

    def to_json(self) -> dict[str, Any]:
        code = self.color.removeprefix("#")
        return {"name": self.name, "color": [int(code[at : at + 2], 16) for at in (0, 2, 4)]}


Describe = Callable[[int], tuple[Classification | None, Mapping[str, float]]]
"""Classification and measurements of a row of the clustering."""


def feature_collection(slide: SlideRows, describe: Describe) -> Iterator[bytes]:
    """All cells of a slide, in pixels of level 0."""
    yield b'{"type":"FeatureCollection","features":[\n'
    count = slide.row_stop - slide.row_start
    for start in range(0, count, BATCH_ROWS):
        rows = np.arange(start, min(start + BATCH_ROWS, count))
        features = [
            _feature(cell_id, rings, *describe(slide.row_start + int(row)))
            for row, cell_id, rings in zip(rows, slide.cell_ids(rows), slide.polygons(rows), strict=True)
        ]
        yield ((",\n" if start else "") + ",\n".join(features)).encode()
    yield b"\n]}\n"


def _feature(
    cell_id: bytes,
    rings: list[Ring],
    classification: Classification | None,
    measurements: Mapping[str, float],
) -> str:
    properties: dict[str, Any] = {"objectType": "detection"}
    if classification is not None:
        properties["classification"] = classification.to_json()
    if measurements:
        properties["measurements"] = dict(measurements)
    closed = [ring if ring[:1] == ring[-1:] else [*ring, ring[0]] for ring in rings]
    feature = {
        "type": "Feature",
        "id": str(uuid.UUID(bytes=cell_id)),
        "geometry": {"type": "Polygon", "coordinates": closed},
        "properties": properties,
    }
    return json.dumps(feature, separators=(",", ":"))


def gzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes for the same chunks: gzip without a time."""
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    for chunk in chunks:
        packed = packer.compress(chunk)
        if packed:
            yield packed
    yield packer.flush()
