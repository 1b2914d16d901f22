"""What the segmenter tells Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

CELLS = Counter("morula_segmenter_cells", "Cells found, before their owners are known")
PHASE_SECONDS = Histogram(
    "morula_segmenter_phase_seconds",
    "Wall time that one region takes before its network and after it",
    ["phase"],
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100),
)
