"""Fits location and scale of what `morula-nuclei` sees of each cell, once for its weights.

    MORULA_DATA=../shared/data python benchmarks/fit_features_scale.py

Writes services/morula/common/scales/morula-nuclei-features.json: as `fit_morphology_scale.py`, over the cells that the
network finds in `he_nuclei`: 54 images of two tumours.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from fit_morphology_scale import MPP, he_nuclei, write
from numpy.typing import NDArray

from morula.common.models import find
from morula.networks.models import Models
from morula.segmenter.backends import MODELS
from morula.segmenter.instances import Wanted
from morula.segmenter.outlines import outline
from morula.segmenter.params import FlowParams

SEGMENTER = "morula-nuclei"


def main() -> None:
    models = Models("segmenter", MODELS)
    model, parts = models[SEGMENTER], list[NDArray[np.float16]]()
    wanted = Wanted(flows=FlowParams(normalize="image"))
    for image in he_nuclei(Path(os.environ.get("MORULA_DATA", "../shared/data"))):
        seen = outline(model(image, MPP, wanted)).features
        parts += [] if seen is None else [seen]
    models.close()
    names = [f"feature_{number}" for number in range(1, parts[0].shape[1] + 1)]
    network = dict(find(SEGMENTER, "segmenter").files)["network"]
    write(f"{SEGMENTER}-features", names, parts, Path(__file__).name, "he_nuclei", network_sha256=network)


if __name__ == "__main__":
    main()
