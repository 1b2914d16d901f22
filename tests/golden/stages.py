"""One small slide through every stage, and the marks of what each of them wrote."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import tifffile
from google.protobuf.json_format import MessageToDict

from morula.common.arrays import read_array, read_json
from morula.common.folder import FolderStore
from morula.common.outlines import read_outlines
from morula.common.pixels import read_regions
from morula.common.store import Store
from morula.common.tables import read_cells, read_index, read_morphology, read_plan, read_tiles
from morula.v1.artifact_pb2 import ShardList
from tests.golden.fingerprints import Marks, mark, of_json, of_table
from tests.servers.gateway import Client, gateway, services

PINNED = Path(__file__).with_name("stages.json")
SIDE_PX = (800, 1100)
NUCLEI = {(96, 62, 140): (6, 9), (150, 96, 170): (8, 12)}
"""Colours of two kinds of nuclei, and their least and largest radius in px."""

READERS: dict[str, Callable[[bytes], Marks]] = {
    "plan": lambda content: of_table(read_plan(content)),
    "tiles": lambda content: of_table(read_tiles(content)),
    "pixels": lambda content: _pixels(content),
    "cells": lambda content: of_table(read_cells(content)),
    "vectors": lambda content: {"rows": mark(read_array(content))},
    "morphology": lambda content: of_table(read_morphology(content)),
    "shards": lambda content: of_json(_stages_of_refs(MessageToDict(ShardList.FromString(content)))),
    "index": lambda content: of_table(read_index(content)),
    "outlines": lambda content: of_table(read_outlines(content)),
    "leaf": lambda content: {"rows": mark(read_array(content))},
    "tree": lambda content: of_json(read_json(content)),
    "features": lambda content: {"rows": mark(read_array(content))},
    "confidence": lambda content: {"rows": mark(read_array(content))},
    "layout": lambda content: {"rows": mark(read_array(content))},
    "class": lambda content: {"rows": mark(np.frombuffer(content, np.uint8))},
    "label_confidence": lambda content: {"rows": mark(np.frombuffer(content, np.uint8))},
    "model": lambda content: of_json(read_json(content)),
}
"""Stages in their order: what follows one is made of it."""
FILES = ("tiles.parquet", "cells.parquet", "assignments.parquet", "clusters.json", "cells.geojson.gz")
STAGES = (*READERS, "table")
NOT_PINNED = {
    "slide": "the bytes that a person brought",
    "truth": "the bytes that a person brought",
    "effective": "labels as people said them",
    "evaluation": "numbers, which tests of the evaluator hold to oracles",
    "report": "a page of those numbers",
    "sheet": "JPEGs, whose pixels and bytes are those of the codec that is installed",
}


class KeepingStore(FolderStore):
    """Keeps pixels, too."""

    def delete(self, key: str, check: Callable[[], None] | None = None) -> None:
        """They are looked at after the job."""


def write_picture(path: Path) -> None:
    """Nuclei of two kinds on tissue, in whole numbers only, so that it is the same picture everywhere."""
    random = np.random.default_rng(0)
    height, width = SIDE_PX
    picture = np.full((height, width, 3), 244, np.int64)
    picture[90:-90, 90:-90] = (228, 178, 206)
    y, x = np.ogrid[:height, :width]
    for number, (column, row) in enumerate(
        (c, r) for r in range(120, height - 120, 30) for c in range(120, width - 120, 30)
    ):
        colour, (least, largest) = list(NUCLEI.items())[(number // 7) % 2]
        dx, dy, radius = random.integers(-4, 5), random.integers(-4, 5), random.integers(least, largest + 1)
        picture[(x - column - dx) ** 2 + (y - row - dy) ** 2 <= radius**2] = colour
    picture += random.integers(-9, 10, picture.shape)
    scale = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, np.clip(picture, 0, 255).astype(np.uint8), photometric="rgb", tile=(256, 256), **scale)


async def run(folder: Path) -> dict[str, Marks]:
    """The marks of every stage."""
    write_picture(folder / "slide.tiff")
    store = KeepingStore(folder / "objects")
    async with services(folder, store=store) as running, gateway(running, folder) as client:
        slide = await client.upload(folder / "slide.tiff")
        job = await client.run(slide["id"])
        assert job["state"] == "succeeded", job["error"]
        paths = {name: f"/v1/jobs/{job['id']}/files/{name}" for name in FILES}
        await _label(client, store, job)
        files = {name: (await client.http.get(path)).content for name, path in paths.items()}
    marks = {stage: _stage(store, stage) for stage in READERS}
    return marks | {"table": _tables(files)}


async def _label(client: Client, store: Store, job: dict[str, Any]) -> None:
    """Two classes, of cells of the two largest small clusters: the same cells whatever pages are offered."""
    (stored,) = [stored for stored in store.list("default/") if stored.key.split("/")[2] == "leaf"]
    leaf = read_array(store.get(stored.key))
    largest = np.argsort(-np.bincount(leaf[leaf >= 0]), kind="stable")[:2]
    labelling = f"/v1/labellings/{job['labelling_id']}"
    place = client.ok(await client.http.get(f"{labelling}/page"))["place"]
    for number, one in enumerate(largest, start=1):
        rows = np.flatnonzero(leaf == one)[:12].tolist()
        cells = [{"row": row, "class_number": number, "shown_class_number": None} for row in rows]
        body = {"place": place, "cells": cells, "class_number": number, "page_seq": number - 1}
        said = {"kind": "page_named", "actor": "a", "body": body}
        state = client.ok(await client.http.post(f"{labelling}/events", json=said))
        assert state["learned_seq"] == number
    assert state["version"] == 2, "nothing was learnt"


def _stages_of_refs(value: Any) -> Any:
    """Of references, which are made of keys and digests, only the stage that they point to."""
    if isinstance(value, list):
        return [_stages_of_refs(one) for one in value]
    if not isinstance(value, dict):
        return value
    if "key" in value:
        return value["key"].split("/")[2]
    return {name: _stages_of_refs(one) for name, one in value.items()}


def _stage(store: Store, stage: str) -> Marks:
    """The marks of all that a stage wrote; keys say nothing of its order, and so the outputs themselves do."""
    contents = [store.get(stored.key) for stored in store.list("default/") if stored.key.split("/")[2] == stage]
    outputs = sorted(
        (READERS[stage](content) for content in contents), key=lambda marks: json.dumps(marks, sort_keys=True)
    )
    assert outputs, f"{stage} wrote nothing"
    return {f"{number}.{name}": one for number, marks in enumerate(outputs) for name, one in marks.items()}


def _pixels(content: bytes) -> Marks:
    regions = list(read_regions(content))
    return {f"region {number}": mark(region.pixels) for number, region in enumerate(regions)}


def _tables(files: dict[str, bytes]) -> Marks:
    marks: Marks = {}
    for name, content in files.items():
        if name.endswith(".parquet"):
            table = pq.read_table(BytesIO(content)).replace_schema_metadata(None)
            found = of_table(table)
        else:
            found = of_json(json.loads(gzip.decompress(content) if name.endswith(".gz") else content))
        marks |= {f"{name}.{column}": one for column, one in found.items()}
    return marks
