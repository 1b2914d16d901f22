"""What the segmenter tells Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

CROPS = Counter("morula_segmenter_crops", "Crops that a network has seen")
CELLS = Counter("morula_segmenter_cells", "Cells found, before their owners are known")
OUT_OF_MEMORY = Counter(
    "morula_segmenter_out_of_memory", "Batches, and regions of instances, that the device's memory did not hold"
)
BATCH_FILL = Histogram(
    "morula_segmenter_batch_fill", "Filled part of a batch", buckets=(0.125, 0.25, 0.5, 0.75, 0.875, 1.0)
)
PHASE_SECONDS = Histogram(
    "morula_segmenter_phase_seconds",
    "Wall time of a phase: one batch of the network, or one region elsewhere",
    ["phase"],
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100),
)
