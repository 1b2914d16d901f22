"""Other ways to cluster: a program of its own, for the environment of `make clusterers`, in which there is no Morula.

`python other_clusterers.py NAME IN OUT`: each .npy file in the folder IN holds rows; in OUT is left, under its name, a
table with a line for each layer that was found, the finest first: the cluster of each row, -1 for none. Printed are, by
file, the layer that the way itself proposes and the processor seconds that it took, what is compiled left out.
"""

from __future__ import annotations

import json
import random
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SEED = 0
WARM_ROWS = 500
UMAP_NEIGHBOURS, UMAP_COLUMNS = 30, 10
GRAPH_NEIGHBOURS = 15
LEIDEN_LAYERS, FEWEST_TO_SPLIT = 4, 40

Rows = NDArray[np.float32]
Layers = list[NDArray[np.int64]]


def evoc(rows: Rows) -> tuple[Layers, int]:
    """EVoC by its own defaults, with a seed."""
    from evoc import EVoC

    model = EVoC(random_state=SEED)
    model.fit(rows)
    return _with_proposed(model.cluster_layers_, model.labels_)


def plscan(rows: Rows) -> tuple[Layers, int]:
    """Persistent leaves of a map that UMAP makes for clustering: nothing is kept apart, and more neighbours."""
    from fast_hdbscan import PLSCAN
    from umap import UMAP

    space = UMAP(
        n_components=UMAP_COLUMNS, n_neighbors=UMAP_NEIGHBOURS, min_dist=0.0, random_state=SEED, n_jobs=1
    ).fit_transform(rows)
    model = PLSCAN(reproducible=True)
    model.fit(space)
    return _with_proposed(model.cluster_layers_, model.labels_)


def leiden(rows: Rows) -> tuple[Layers, int]:
    """Leiden on a graph of nearest rows, then on each community's own part of it, so that layers are nested."""
    import igraph
    from sklearn.neighbors import kneighbors_graph

    random.seed(SEED)  # igraph draws from it.
    graph = kneighbors_graph(rows, GRAPH_NEIGHBOURS, mode="connectivity")
    graph = graph.maximum(graph.T).tocoo()
    above = graph.row < graph.col
    whole = igraph.Graph(n=len(rows), edges=np.stack([graph.row[above], graph.col[above]], axis=1).tolist())
    layers = [_communities(whole)]
    while len(layers) < LEIDEN_LAYERS:
        finer = _split(whole, layers[-1])
        if finer.max() == layers[-1].max():
            break
        layers.append(finer)
    return layers[::-1], len(layers) - 1


def _communities(graph: object) -> NDArray[np.int64]:
    found = graph.community_leiden(objective_function="modularity", resolution=1.0, n_iterations=-1)  # type: ignore[attr-defined]
    return np.asarray(found.membership, np.int64)


def _split(whole: object, coarse: NDArray[np.int64]) -> NDArray[np.int64]:
    finer, count = np.empty_like(coarse), 0
    for community in np.unique(coarse):
        members = np.flatnonzero(coarse == community)
        own = np.zeros(len(members), np.int64)
        if len(members) >= FEWEST_TO_SPLIT:
            own = _communities(whole.induced_subgraph(members.tolist()))  # type: ignore[attr-defined]
        finer[members] = count + own
        count += int(own.max()) + 1
    return finer


def _with_proposed(layers: Layers, proposed: NDArray[np.int64]) -> tuple[Layers, int]:
    (place,) = (number for number, layer in enumerate(layers) if np.array_equal(layer, proposed))
    return [np.asarray(layer, np.int64) for layer in layers], place


WAYS = {"evoc": evoc, "plscan": plscan, "leiden": leiden}


def main(name: str, source: Path, out: Path) -> None:
    warnings.simplefilter("ignore")
    told, is_warm = {}, False
    for path in sorted(source.glob("*.npy")):
        rows = np.load(path).astype(np.float32)
        if not is_warm:
            WAYS[name](rows[:WARM_ROWS])
            is_warm = True
        began = time.process_time()
        layers, proposed = WAYS[name](rows)
        told[path.stem] = {"cpu_s": time.process_time() - began, "proposed": proposed}
        np.save(out / path.name, np.stack(layers))
    print(json.dumps(told))  # noqa: T201 - its answer


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
