"""docs/columns.md describes every column that a real job, its labelling and its exports leave."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable

import pytest

from morula.common.pixels import PIXELS_SCHEMA
from morula.common.stain import Stain
from morula.embedder.backends import morphology_of
from tests.contract import described
from tests.contract.described import Columns, described_columns
from tests.contract.rest_world import World, name_page

pytestmark = pytest.mark.asyncio(loop_scope="module")

KNOWN = described_columns()
OF_STAGE: dict[str, Callable[[bytes], Columns]] = {
    "plan": described.of_parquet,
    "tiles": described.of_parquet,
    "cells": described.of_parquet,
    "morphology": described.of_parquet,
    "vectors": described.of_array,
    "index": described.of_parquet,
    "outlines": described.of_arrow,
    "leaf": described.of_array,
    "features": described.of_array,
    "confidence": described.of_array,
    "layout": described.of_array,
    "tree": lambda content: described.of_json(content, KNOWN["tree"]),
    "class": described.of_bytes,
    "label_confidence": described.of_bytes,
    "model": lambda content: described.of_json(content, KNOWN["model"]),
}
ELSEWHERE = {"slide", "shards", "table", "sheet", "pixels"}
"""What is no table: the slide's own files, a message, the files of a job, pictures; and pixels, which go at once."""


async def test_files_of_a_job(world: World) -> None:
    job = f"/v1/jobs/{world.job['id']}/files"
    names = {file["name"] for file in world.client.ok(await world.http.get(job))["files"]}
    contents = {name: (await world.http.get(f"{job}/{name}")).content for name in names}
    cells = KNOWN["cells.parquet"] | KNOWN["morphology"]
    assert described.of_parquet(contents.pop("cells.parquet")) == cells
    for name in ("tiles.parquet", "assignments.parquet"):
        assert described.of_parquet(contents.pop(name)) == KNOWN[name]
    assert _properties(contents.pop("cells.geojson.gz")) == KNOWN["cells.geojson.gz"]
    for name, content in contents.items():
        assert described.of_json(content, KNOWN[name]) == KNOWN[name]


async def test_artifacts_and_exports_of_labels(world: World) -> None:
    labelling = await world.labelling()
    await name_page(world, labelling, 1)
    await name_page(world, labelling, 2)
    newest = {key.split("/")[2]: key for key in sorted(world.objects()) if key.count("/") == 3}
    assert set(newest) - ELSEWHERE == set(OF_STAGE)
    for stage, read in OF_STAGE.items():
        expected = KNOWN["tiles.parquet"] if stage == "tiles" else KNOWN[stage]
        assert read(world.running.store.get(newest[stage])) == expected, stage
    assert described.of_schema(PIXELS_SCHEMA) == KNOWN["pixels"]

    labels = (await world.http.get(f"{labelling}/labels.parquet")).content
    assert described.of_parquet(labels) == KNOWN["labels.parquet"]
    assert _properties((await world.http.get(f"{labelling}/cells.geojson.gz")).content) == KNOWN["labels.geojson.gz"]


@pytest.mark.parametrize(
    ("stain", "section"),
    [("IHC", "of IHC"), ("fluorescence", "of fluorescence"), ("other", "of other and unknown stains")],
)
async def test_columns_of_other_stains_are_those_above_or_their_own(stain: Stain, section: str) -> None:
    own, usual, described_here = morphology_of(stain), morphology_of("H&E"), KNOWN[f"morphology {section}"]
    assert set(own) - set(usual) <= set(described_here) <= set(own)


def _properties(packed: bytes) -> Columns:
    """Properties of all features together."""
    found: Columns = {}
    for feature in json.loads(gzip.decompress(packed))["features"]:
        found |= described.of_json(json.dumps(feature["properties"]).encode(), {})
    return found
