"""What networks tell Prometheus, whichever service runs them."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

CROPS = Counter("morula_network_crops", "Crops that a network has seen")
OUT_OF_MEMORY = Counter(
    "morula_network_out_of_memory", "Batches, and regions of instances, that the device's memory did not hold"
)
BATCH_FILL = Histogram(
    "morula_network_batch_fill", "Filled part of a batch", buckets=(0.125, 0.25, 0.5, 0.75, 0.875, 1.0)
)
BATCH_SECONDS = Histogram(
    "morula_network_batch_seconds",
    "Wall time of one batch of a network",
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100),
)
