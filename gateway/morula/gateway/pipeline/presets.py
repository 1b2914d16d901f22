"""Parameters that go together, by the name that a request asks for."""

from typing import Any

from morula.common import clustering, imported, models

_DEFAULT: dict[str, Any] = {
    "segmenter": models.DEFAULT_SEGMENTER,
    "embedder": models.DEFAULT_EMBEDDER,
    "mpp": 0.5,
    "tile_gate": "default",
}
PRESETS: dict[str, dict[str, Any]] = {
    "default": _DEFAULT,
    # The published system's filter and its single tiles: without halo, each normalised by its own percentiles.
    # Models are those of the default unless a request names others.
    "paper-tiles": {
        **_DEFAULT,
        "tile_gate": "paper",
        "region_tile_count": 1,
        "halo_px": 0,
        "second_halo_px": 0,
        "normalize": "image",
    },
}
# The published system whole, with the eps of its experiments.
PRESETS["paper"] = {
    **PRESETS["paper-tiles"],
    "segmenter": "cellpose-sam",
    "embedder": "resnet50",
    "algorithm": clustering.UMAP_DBSCAN,
    "eps": 0.5,
    "seed": 42,
    "leaf_count": 0,
}
# A run of the published system with the cells and the clusters that it found; its tiles are the grid's.
PRESETS["imported"] = {
    **PRESETS["paper-tiles"],
    "segmenter": imported.MODEL,
    "tile_gate": "every",
    "algorithm": clustering.IMPORTED,
    "leaf_count": 0,
}
