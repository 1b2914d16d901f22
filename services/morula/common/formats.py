"""Readers and writers of all artifacts, in one place to import from.

Writers give bytes, which go straight into the store. Readers take bytes or a path and raise ArtifactInvalid where
something is missing, mistyped or cut short. What the columns mean stands beside the schemas in `tables.py`.
"""

from morula.common.arrays import Source, read_array, read_json, write_array, write_json
from morula.common.outlines import decode_outline, encode_outline, read_outlines, write_outlines
from morula.common.tables import (
    CELLS_SCHEMA,
    CLUSTERING_ARTIFACTS,
    INDEX_SCHEMA,
    NOISE_LEAF,
    OUTLINES_SCHEMA,
    PLAN_SCHEMA,
    QUALITY_METRICS,
    SLIDE_VERDICTS,
    STATES,
    TILES_SCHEMA,
    Metadata,
    read_cells,
    read_index,
    read_metadata,
    read_morphology,
    read_plan,
    read_tiles,
    table,
    write_cells,
    write_index,
    write_morphology,
    write_plan,
    write_tiles,
)

__all__ = [
    "CELLS_SCHEMA",
    "CLUSTERING_ARTIFACTS",
    "INDEX_SCHEMA",
    "NOISE_LEAF",
    "OUTLINES_SCHEMA",
    "PLAN_SCHEMA",
    "QUALITY_METRICS",
    "SLIDE_VERDICTS",
    "STATES",
    "TILES_SCHEMA",
    "Metadata",
    "Source",
    "decode_outline",
    "encode_outline",
    "read_array",
    "read_cells",
    "read_index",
    "read_json",
    "read_metadata",
    "read_morphology",
    "read_outlines",
    "read_plan",
    "read_tiles",
    "table",
    "write_array",
    "write_cells",
    "write_index",
    "write_json",
    "write_morphology",
    "write_outlines",
    "write_plan",
    "write_tiles",
]
