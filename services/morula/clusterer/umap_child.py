"""UMAP where it can be stopped: its loops hold the interpreter's lock for minutes, so it runs in a process of its own.

`python -m morula.clusterer.umap_child WAY VECTORS.npy SEED PLACES.npy` ends when its standard input does: with
its parent.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from functools import partial
from pathlib import Path

import numpy as np

from morula.clusterer import cuml_steps, layout, paper
from morula.clusterer.arrays import Floats
from morula.clusterer.paper import Steps
from morula.common.clustering import LAYOUTS, UMAP_DBSCAN, UMAP_DBSCAN_CUML
from morula.common.compute import Checkpoint
from morula.common.errors import Internal

LOOK_S = 0.25
"""How often the caller is asked whether it still waits."""
LAST_WORDS = 500


_MAPS = {
    UMAP_DBSCAN: paper.umap,
    UMAP_DBSCAN_CUML: cuml_steps.umap,
    LAYOUTS[UMAP_DBSCAN]: layout.umap_plane,
    LAYOUTS[UMAP_DBSCAN_CUML]: cuml_steps.umap_plane,
}


def steps(algorithm: str) -> Steps:
    """The published clustering's steps by one of its ways."""
    cluster_space = cuml_steps.cluster_space if algorithm == UMAP_DBSCAN_CUML else paper.cluster_space
    return Steps(partial(umap, algorithm), cluster_space)


def umap(way: str, vectors: Floats, seed: int, checkpoint: Checkpoint) -> Floats:
    """The places that a way gives these rows; stopped where the checkpoint raises."""
    with tempfile.TemporaryDirectory(prefix="morula-umap-") as folder:
        given, made, said = (Path(folder) / name for name in ("vectors.npy", "places.npy", "said.txt"))
        np.save(given, vectors, allow_pickle=False)
        # One thread of linear algebra too: places then depend on the vectors alone.
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "morula.clusterer.umap_child", way, str(given), str(seed), str(made)]
        with (
            said.open("wb") as log,
            subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log) as child,  # noqa: S603 - our own interpreter and module
        ):
            try:
                _wait(child, checkpoint)
            finally:
                child.kill()
        if child.returncode != 0:
            words = said.read_text(encoding="utf-8", errors="replace").strip()[-LAST_WORDS:]
            raise Internal(f"UMAP of {len(vectors)} cells {_end(child.returncode)}: {words}")
        places: Floats = np.load(made, allow_pickle=False)
        return places


def _wait(child: subprocess.Popen[bytes], checkpoint: Checkpoint) -> None:
    while True:
        try:
            child.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            checkpoint()
        else:
            return


def _end(code: int) -> str:
    return f"was killed by signal {-code}, as happens where memory is short" if code < 0 else f"ended with {code}"


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


def _main(way: str, given: str, seed: str, made: str) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    np.save(made, _MAPS[way](np.load(given, allow_pickle=False), int(seed)), allow_pickle=False)


if __name__ == "__main__":
    _main(*sys.argv[1:])
