"""Compiles the loops of what is installed into NUMBA_CACHE_DIR, so that no pod does it at its start."""

import os
from importlib.util import find_spec
from pathlib import Path


def main() -> None:
    Path(os.environ["NUMBA_CACHE_DIR"]).mkdir(exist_ok=True)
    if find_spec("openslide"):
        from morula.tiler import kernels

        kernels.warm()
    if find_spec("numba") and find_spec("skimage"):
        from morula.segmenter import dynamics, pooling

        dynamics.warm()
        pooling.warm()
    if find_spec("umap"):
        import numpy as np

        from morula.clusterer import layout, paper

        # So many that neighbours are searched for, as they are of slides.
        rows = np.random.default_rng(0).normal(size=(5000, 60)).astype(np.float32)
        layout.umap_plane(rows, 0)
        paper.umap(rows, 0)


main()
